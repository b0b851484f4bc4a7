"""Forecasts as one HTML page that needs no network and no script: a fan chart and a table for each series."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_finance.backtest.charts import ticks

if TYPE_CHECKING:
    from markupsafe import Markup

    from doyen_finance.forecast.run import Forecasts, SeriesForecast

_PAGE: Final = Path(__file__).with_name("page")
_MOST: Final = 20
"""Series that a page shows."""
_WIDTH: Final = 1060
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 10, 26


def as_html(forecasts: Forecasts) -> bytes:
    """The page as UTF-8; Jinja2 escapes every value."""
    style = (_PAGE / "forecast.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _environment().get_template("forecast.html").render(
        f=forecasts, style=style, style_hash=f"sha256-{digest}",
        charts=[(series, fan_chart(series, forecasts.model, forecasts.level)) for series in forecasts.series[:_MOST]],
    )  # fmt: skip
    return page.encode("utf-8", errors="replace")


def fan_chart(series: SeriesForecast, model: str, levels: list[float]) -> Markup:
    """The last steps, the forecast with a band for each level, and repeat-last, as inline SVG without style attributes."""
    from markupsafe import Markup

    past = np.array([value for _, value in series.history])
    columns = {
        name: np.array([row[name] for row in series.forecast]) for name in series.forecast[0] if name != "ds"
    }
    marks = ticks(*_reach(past, columns))
    low, high = marks[0], marks[-1]
    low, high = min(low, *_reach(past, columns)), max(high, *_reach(past, columns))
    x = np.linspace(_LEFT, _WIDTH - _RIGHT, len(past) + len(series.forecast))

    def points(first: int, values: Any) -> str:
        y = _TOP + (high - values) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM)
        return " ".join(
            f"{px:.1f},{py:.1f}" for px, py in zip(x[first : first + len(values)], y, strict=True)
        )

    parts = []
    for mark in marks:
        y = _TOP + (high - mark) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM)
        parts.append(
            Markup('<line x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/><text x="{t}" y="{u:.1f}" class="end">{v:g}</text>')
            .format(_LEFT, _WIDTH - _RIGHT, y=y, t=_LEFT - 6, u=y + 4, v=mark)
        )  # fmt: skip
    now = len(past) - 1
    for place, text in ((0, series.history[0][0]), (now, series.history[-1][0])):
        parts.append(Markup('<text x="{:.1f}" y="{}" class="{}">{}</text>').format(
            x[place], _HEIGHT - 8, "mid" if place else "start", text.removesuffix(" 00:00:00")
        ))  # fmt: skip
    parts.append(
        Markup('<line x1="{x:.1f}" x2="{x:.1f}" y1="{}" y2="{}" class="now"/>').format(
            _TOP, _HEIGHT - _BOTTOM, x=x[now]
        )
    )
    # The widest band first, so that the narrower ones lie over it. Each starts at the last value.
    for level in sorted(levels, reverse=True):
        lower, upper = (np.append(past[-1], columns[f"{model}-{side}-{level:g}"]) for side in ("lo", "hi"))
        outline = points(now, upper) + " " + " ".join(reversed(points(now, lower).split(" ")))
        parts.append(
            Markup('<polygon points="{}" class="band"><title>{:g} %</title></polygon>').format(outline, level)
        )
    for role, name, first, values in (
        ("past", "past", 0, past),
        ("floor", "repeating the last value", now, np.full(len(series.forecast) + 1, past[-1])),
        ("model", model, now, np.append(past[-1], columns[model])),
    ):
        parts.append(
            Markup('<polyline points="{}" class="{}"><title>{}</title></polyline>').format(
                points(first, values), role, name
            )
        )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="Forecast fan">{}</svg>'
    ).format(_WIDTH, _HEIGHT, Markup("").join(parts))


def _reach(past: Any, columns: dict[str, Any]) -> tuple[float, float]:
    everything = np.concatenate([past, *columns.values()])
    return float(everything.min()), float(everything.max())


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(_PAGE), autoescape=True)
