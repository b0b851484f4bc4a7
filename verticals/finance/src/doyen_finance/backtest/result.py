"""What a backtest gives: figures by model and seed, the benchmarks beside them, and sentences that say what they mean."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from doyen_finance.backtest.bars import Flag
from doyen_finance.backtest.figures import (
    Interval,
    annualised,
    annualised_mean,
    block_bootstrap,
    deflated_sharpe,
    drawdown,
    information_ratio,
)
from doyen_finance.backtest.panel import Floats

NO_EXCESS: Final = "There is no excess return after costs."
NOT_TOLD_APART: Final = f"{NO_EXCESS} The difference that is there cannot be told apart from chance."
TOO_GOOD: Final = 0.07
"""Published models reach a rank IC of .03 to .07 on the CSI 300; more comes from a leak far oftener than from skill."""
CLAIM: Final = {
    "claim": "+18.7 % a year",
    "source": "the article that this project set out from",
    "note": "An unverified claim. It was not measured here and no figure of this report rests on it.",
}


@dataclass(frozen=True)
class Outcome:
    """One run: a model with one seed, or the mean of its seeds (``seed`` None). ``ci95`` has intervals by figure."""

    seed: int | None
    chosen: dict[str, float]
    figures: dict[str, float]
    ci95: dict[str, Interval]
    returns: Floats
    """(T,) daily returns after costs, aligned with ``Backtest.dates``."""

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "chosen": self.chosen,
            **{name: rounded(value) for name, value in self.figures.items()},
            "ci95": {name: [rounded(bound) for bound in bounds] for name, bounds in self.ci95.items()},
        }


@dataclass(frozen=True)
class ModelResult:
    """A model's mean over seeds and each seed."""

    name: str
    about: str
    mean: Outcome
    seeds: list[Outcome]
    warnings: list[str]
    verdict: str


@dataclass(frozen=True)
class Backtest:
    """All of a backtest. ``benchmarks``: daily returns by name; the first is the index."""

    protocol: str
    verdict: str
    models: list[ModelResult]
    dates: pd.DatetimeIndex
    benchmarks: dict[str, Floats]
    trials: int
    meta: dict[str, Any]
    notes: list[str]
    flags: list[Flag] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """JSON-able, without the daily series."""
        return {
            "protocol": self.protocol,
            "verdict": self.verdict,
            "n": len(self.dates),
            "models": {
                model.name: {
                    "about": model.about, "verdict": model.verdict, "warnings": model.warnings,
                    "mean": model.mean.as_json(), "seeds": [seed.as_json() for seed in model.seeds],
                }
                for model in self.models
            },
            "benchmarks": {
                name: {key: rounded(value) for key, value in track_figures(returns).items()}
                for name, returns in self.benchmarks.items()
            },
            "claim": CLAIM, "trials": self.trials, "notes": self.notes,
            "flags": [asdict(flag) for flag in self.flags], "_meta": self.meta,
        }  # fmt: skip

    def daily(self) -> pd.DataFrame:
        """Daily returns after costs: a column for each benchmark and each model's seeds."""
        columns = {f"benchmark:{name}": values for name, values in self.benchmarks.items()}
        for model in self.models:
            for run in model.seeds:
                columns[model.name if run.seed is None else f"{model.name}:{run.seed}"] = run.returns
        return pd.DataFrame(columns, index=self.dates).rename_axis("trade_date")


def track_figures(returns_T: Floats) -> dict[str, float]:
    """Of one return series: compound return a year, Sharpe ratio, worst drawdown."""
    return {
        "annual_return": annualised(returns_T),
        "sharpe": information_ratio(returns_T),
        "max_drawdown": float(drawdown(returns_T).min()),
    }


def excess_figures(
    returns_T: Floats, benchmarks: dict[str, Floats]
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Annualised excess, information ratio and drawdown of the excess against each benchmark, with intervals."""
    found: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for name, benchmark in benchmarks.items():
        difference = returns_T - benchmark
        found[f"excess_{name}"] = annualised_mean(difference)
        found[f"information_ratio_{name}"] = information_ratio(difference)
        found[f"excess_drawdown_{name}"] = float(drawdown(difference).min())
        intervals[f"excess_{name}"] = block_bootstrap(difference, annualised_mean)
    return found, intervals


def with_deflated_sharpe(
    outcomes: list[Outcome], benchmark: Floats, trials: int, trial_sharpes: list[float]
) -> list[Outcome]:
    """The outcomes with the deflated Sharpe ratio of their excess over ``benchmark``."""
    return [
        Outcome(
            run.seed, run.chosen,
            {**run.figures, "deflated_sharpe": deflated_sharpe(run.returns - benchmark, trials, trial_sharpes)},
            run.ci95, run.returns,
        )
        for run in outcomes
    ]  # fmt: skip


def mean_outcome(outcomes: list[Outcome], benchmarks: dict[str, Floats], ic_T: Floats | None) -> Outcome:
    """The mean of every figure over seeds; intervals are of the seeds' mean daily series."""
    if len(outcomes) == 1:
        return outcomes[0]
    returns = np.mean([run.returns for run in outcomes], axis=0)
    figures = {name: float(np.mean([run.figures[name] for run in outcomes])) for name in outcomes[0].figures}
    _, intervals = excess_figures(returns, benchmarks)
    if ic_T is not None:
        intervals["rank_ic"] = mean_interval(ic_T)
    return Outcome(None, {}, figures, intervals, returns)


def mean_interval(values_T: Floats) -> Interval:
    """95 % block-bootstrap interval of a daily series' mean; days without a value are left out."""
    return block_bootstrap(values_T[np.isfinite(values_T)], lambda drawn: float(drawn.mean()))


def verdict_of(mean: Outcome, names: list[str]) -> str:
    """Whether the excess after costs is above zero against every benchmark, in one sentence."""
    if any(mean.figures[f"excess_{name}"] <= 0 for name in names):
        return NO_EXCESS
    if any(mean.ci95[f"excess_{name}"].low <= 0 for name in names):
        return NOT_TOLD_APART
    return "The excess return after costs is above zero at the 95 % level against every benchmark."


def overall_verdict(models: list[ModelResult]) -> str:
    """The most favourable sentence that a model earned, and how many did."""
    verdicts = [model.verdict for model in models]
    if all(verdict == NO_EXCESS for verdict in verdicts):
        return NO_EXCESS
    if all(verdict in (NO_EXCESS, NOT_TOLD_APART) for verdict in verdicts):
        return NOT_TOLD_APART
    earned = [model.name for model in models if model.verdict not in (NO_EXCESS, NOT_TOLD_APART)]
    return f"Excess return after costs at the 95 % level: {', '.join(earned)}; no other model has one."


def warnings_of(mean: Outcome, seeds: list[Outcome]) -> list[str]:
    """``treat as a bug`` where a rank IC is too good to be true."""
    worst = max((run.figures.get("rank_ic", 0.0) for run in [mean, *seeds]), default=0.0)
    if worst > TOO_GOOD:
        return [f"Rank IC {worst:.3f} is above {TOO_GOOD}: treat as a bug until the audit finds no leak."]
    return []


def rounded(value: float) -> float | None:
    """Six digits after the point; JSON has no NaN, so None."""
    return round(value, 6) if math.isfinite(value) else None
