"""Line charts and interval bars as inline SVG: no script, no style attributes, so that a strict policy lets them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from doyen_finance.backtest.panel import Floats

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH: Final = 1060
_HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 26


class Line(NamedTuple):
    """A series of a chart: ``role`` is its CSS class."""

    name: str
    role: str
    values: Floats


def line_chart(dates: pd.DatetimeIndex, lines: Sequence[Line], label: str) -> Markup:
    """Shares over days, the axis in per cent; the legend stands in the page."""
    from markupsafe import Markup

    everything = np.concatenate([line.values for line in lines])
    marks = ticks(float(everything.min()), float(everything.max()))
    low, high = min(marks[0], everything.min()), max(marks[-1], everything.max())

    def y(value: float) -> float:
        return _TOP + (high - value) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM)

    x = np.linspace(_LEFT, _WIDTH - _RIGHT, len(dates))
    parts = [
        Markup('<line x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}" class="{c}"/><text x="{t}" y="{u:.1f}" class="end">{v}</text>').format(
            _LEFT, _WIDTH - _RIGHT, y=y(mark), c="zero" if abs(mark) < 1e-12 else "grid", t=_LEFT - 6, u=y(mark) + 4,
            v=f"{100 * mark:.0f} %",
        )
        for mark in marks
    ]  # fmt: skip
    for place, text in _dates(dates):
        parts.append(
            Markup('<text x="{:.1f}" y="{}" class="mid">{}</text>').format(x[place], _HEIGHT - 8, text)
        )
    for line in lines:
        points = " ".join(f"{px:.1f},{y(value):.1f}" for px, value in zip(x, line.values, strict=True))
        parts.append(
            Markup('<polyline points="{}" class="{}"><title>{}</title></polyline>').format(
                points, line.role, line.name
            )
        )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, label, Markup("").join(parts)
    )


def interval_bar(value: float, low: float, high: float, reach: float) -> Markup:
    """A value and its interval on a scale from -reach to +reach, zero in the middle."""
    from markupsafe import Markup

    def x(at: float) -> str:
        return f"{110 + 100 * max(-1.0, min(1.0, at / reach)):.1f}"

    return Markup(
        '<svg class="bar" viewBox="0 0 220 16" width="220" height="16" role="img" aria-label="{label}">'
        '<line x1="110" x2="110" y1="0" y2="16" class="zero"/><line x1="{low}" x2="{high}" y1="8" y2="8" class="reach"/>'
        '<circle cx="{value}" cy="8" r="4" class="{role}"/></svg>'
    ).format(
        label=f"{value:.1%}, 95 % interval {low:.1%} to {high:.1%}", low=x(low), high=x(high), value=x(value),
        role="above" if low > 0 else "below" if high < 0 else "open",
    )  # fmt: skip


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round marks that span [low, high], at most ``most`` steps of 1, 2 or 5 times a power of ten."""
    span = (high - low) or 0.01
    step = next(
        size * 10.0**power
        for power in range(-5, 6)
        for size in (1, 2, 5)
        if span / (size * 10.0**power) <= most
    )
    return [
        round(number * step, 10) for number in range(int(np.floor(low / step)), int(np.ceil(high / step)) + 1)
    ]


def _dates(dates: pd.DatetimeIndex) -> list[tuple[int, str]]:
    """First days of years where there are more than three, else of quarters."""
    years = len(set(dates.year)) > 3
    number = np.asarray(dates.year if years else dates.year * 4 + dates.quarter)
    starts = np.flatnonzero(np.diff(number)) + 1
    return [(int(at), f"{dates[at]:%Y}" if years else f"{dates[at]:%Y-%m}") for at in starts]
