"""The backtest as one HTML page that needs no network and no script; Jinja2 escapes every value."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_finance.backtest.charts import Line, interval_bar, line_chart
from doyen_finance.backtest.figures import drawdown, growth
from doyen_finance.backtest.result import CLAIM, Backtest, track_figures

_PAGE: Final = Path(__file__).with_name("page")
_SHARES: Final = (
    "annual_return", "excess", "max_drawdown", "excess_drawdown", "cost_drag", "turnover", "right_direction", "up_days",
    "exposure",
)  # fmt: skip
NAMES: Final = {
    "rank_ic": "Rank IC", "rank_icir": "Rank ICIR", "ic": "IC", "icir": "ICIR", "annual_return": "Return a year",
    "sharpe": "Sharpe ratio", "max_drawdown": "Worst drawdown", "cost_drag": "Costs a year",
    "turnover_a_day": "Turnover a day, one way", "refused_orders": "Orders refused (limit, suspension)",
    "deflated_sharpe": "Deflated Sharpe ratio (chance of skill)", "exposure": "Mean exposure",
    "right_direction": "Right direction", "up_days": "Days up", "switches_a_year": "Switches a year",
    "excess_index_before_costs": "Excess over the index before costs",
}  # fmt: skip
_BENCHMARKS: Final = {
    "index": "index", "equal_weight": "equal-weight members", "buy_and_hold": "buy and hold", "fixed_mix": "fixed mix",
}  # fmt: skip


def as_html(result: Backtest) -> bytes:
    """The page as UTF-8."""
    style = (_PAGE / "backtest.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    lines = _lines(result)
    losses = [Line(line.name, line.role, drawdown(line.values)) for line in lines]
    wealth = [Line(line.name, line.role, growth(line.values)) for line in lines]
    page = _environment().get_template("backtest.html").render(
        r=result, style=style, style_hash=f"sha256-{digest}", claim=CLAIM,
        equity=line_chart(result.dates, wealth, "Value after costs"),
        losses=line_chart(result.dates, losses, "Loss since the highest value"),
        legend=[(line.name, line.role) for line in lines], excess=_excess(result),
        tables=[(model, _rows(model.mean.figures), model.seeds) for model in result.models],
        benchmark_rows=[(_benchmark(name), track_figures(values)) for name, values in result.benchmarks.items()],
        shown=shown, label=label,
    )  # fmt: skip
    return page.encode("utf-8", errors="replace")


def label(name: str) -> str:
    """A figure's name in words."""
    if name in NAMES:
        return NAMES[name]
    for start, words in (("excess_drawdown_", "Worst drawdown of the excess over "), ("excess_", "Excess a year over "),
                         ("information_ratio_", "Information ratio over ")):  # fmt: skip
        if name.startswith(start):
            return f"{words}{_benchmark(name.removeprefix(start))}"
    return name


def shown(name: str, value: float) -> str:
    """A figure as text: shares in per cent, counts whole, everything else with three digits."""
    if not np.isfinite(value):
        return "–"
    if name.startswith(_SHARES):
        return f"{100 * value:.2f} %"
    return f"{value:.0f}" if name == "refused_orders" else f"{value:.3f}"


def _benchmark(name: str) -> str:
    return _BENCHMARKS.get(name, name)


def _lines(result: Backtest) -> list[Line]:
    lines = [
        Line(_benchmark(name), f"b{n}", values) for n, (name, values) in enumerate(result.benchmarks.items())
    ]
    for n, model in enumerate(result.models):
        for run in model.seeds if len(model.seeds) > 1 else []:
            lines.append(Line(f"{model.name}, seed {run.seed}", f"m{n} thin", run.returns))
        lines.append(
            Line(model.name if len(model.seeds) == 1 else f"{model.name}, mean", f"m{n}", model.mean.returns)
        )
    return lines


def _excess(result: Backtest) -> list[dict[str, Any]]:
    rows = [
        (model.name, name, model.mean.figures[f"excess_{name}"], model.mean.ci95[f"excess_{name}"])
        for model in result.models
        for name in result.benchmarks
    ]
    reach = max(max(abs(bounds.low), abs(bounds.high)) for _, _, _, bounds in rows)
    return [
        {"model": model, "over": _benchmark(name), "value": value, "low": bounds.low, "high": bounds.high,
         "bar": interval_bar(value, bounds.low, bounds.high, reach)}
        for model, name, value, bounds in rows
    ]  # fmt: skip


def _rows(figures: dict[str, float]) -> list[str]:
    first = [name for name in NAMES if name in figures]
    return [*first, *(name for name in figures if name not in first)]


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_PAGE, encoding="utf-8"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
