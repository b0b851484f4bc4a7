"""The CSI 300 backtest: panel, walk-forward of both models, portfolio, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from doyen_finance.backtest import membership
from doyen_finance.backtest.bars import Flag, read_bars
from doyen_finance.backtest.figures import DAYS, daily_ic, ic_figures
from doyen_finance.backtest.floor import ReversalFloor
from doyen_finance.backtest.index import SOURCE as INDEX_SOURCE
from doyen_finance.backtest.index import absent_days, index_returns
from doyen_finance.backtest.inputs import inputs_of
from doyen_finance.backtest.panel import HORIZON, Floats, Panel, long_scores, panel_frame, wide
from doyen_finance.backtest.portfolio import Rules, equal_weight, simulate
from doyen_finance.backtest.result import (
    Backtest,
    ModelResult,
    Outcome,
    excess_figures,
    mean_interval,
    mean_outcome,
    overall_verdict,
    track_figures,
    verdict_of,
    warnings_of,
    with_deflated_sharpe,
)
from doyen_finance.backtest.ridge import PENALTIES, RidgeLearner
from doyen_finance.backtest.walk import Learner, plan, walk_forward
from doyen_schemas import DoyenError

_MEMBERS: Final = 300
_FEWEST_MEMBERS: Final = 60
"""Members a day below which a book of 50 names is no choice."""
NOTES: Final = [
    "Stock returns include dividends (the exchange's reference price is after them); the index is a price index without "
    "them. The excess over the index is flattered by the dividend yield. The equal-weight members are like for like.",
    "The equal-weight benchmark is rebalanced daily and pays no costs.",
    "Signals of day t are dealt at the close of t + 1. A held stock that is suspended keeps its last value.",
    "The validation part chose the ridge penalty and the number of epochs; nothing was chosen on the test part.",
]


def backtest_stocks(
    path: Path, index: str = "hs300", seeds: int = 3, say: Callable[[str], None] = lambda _: None
) -> Backtest:
    """Run ridge and network over a file of daily bars. Raises FIN-060 to FIN-066; ``say`` gets a line a step."""
    bars, flags, sha256 = read_bars(path)
    spells = membership.csi300_spells()
    panel = wide(panel_frame(bars, spells))
    folds = plan(panel.dates).folds
    first = folds[0].start
    if (fewest := int(panel.universe[first:].sum(1).min())) < _FEWEST_MEMBERS:
        raise DoyenError(
            "FIN-066", f"the file has {fewest} members of the CSI 300 on one day of the test, at least {_FEWEST_MEMBERS} needed.",
            "Give the bars of the index's members, codes like 600519.SH.",
        )  # fmt: skip
    benchmarks = {
        "index": index_returns(index, panel.dates[first:]),
        "equal_weight": equal_weight(panel, first),
    }
    inputs = inputs_of(panel)
    rules = Rules()

    def run(learner: Learner, seed: int | None) -> tuple[Outcome, Floats]:
        scores = walk_forward(inputs, learner)
        return _outcome(scores, panel, first, benchmarks, rules, learner.chosen(), seed)

    floor, floor_ic = run(ReversalFloor(), None)
    ridge, ridge_ic = run(RidgeLearner(), None)
    say(f"ridge: rank IC {ridge.figures['rank_ic']:.4f}")
    others = [run(RidgeLearner((penalty,)), None)[0] for penalty in PENALTIES]
    networks, network_ic, most_epochs = _networks(run, seeds, say)
    trials = 1 + len(PENALTIES) + seeds * most_epochs
    sharpes = [_daily_sharpe(trial.returns - benchmarks["index"]) for trial in [floor, *others, *networks]]
    models = [
        _model("ridge", f"ridge regression on {inputs.factors_TNF.shape[-1]} ranked factors", [ridge], ridge_ic, benchmarks, trials, sharpes),
        _model("network", "patch transformer on 60 days of four ranked channels, with the factors", networks, network_ic, benchmarks, trials, sharpes),
        _model("reversal", "the floor: last week's losers first, nothing fitted", [floor], floor_ic, benchmarks, trials, sharpes),
    ]  # fmt: skip
    meta = _meta(path, sha256, bars, spells, panel, index, rules, seeds)
    if len(absent := absent_days(index, panel.dates)):
        note = f"trading days of the index that the file lacks, the first {absent[0]:%Y-%m-%d}; their returns are lost."
        flags = [
            *(flag for flag in flags if flag.kind != "missing_days"),
            Flag("missing_days", len(absent), note),
        ]
    if meta["universe"]["survivorship"] != "complete":
        flags = [*flags, _thin(meta)]
    return Backtest(
        protocol="csi300", verdict=overall_verdict(models), models=models, dates=panel.dates[first + 1 :],
        benchmarks=benchmarks, trials=trials, meta=meta, notes=NOTES, flags=flags,
    )  # fmt: skip


def _networks(
    run: Callable[[Learner, int | None], tuple[Outcome, Floats]], seeds: int, say: Callable[[str], None]
) -> tuple[list[Outcome], Floats, int]:
    from doyen_finance.backtest.network import MOST_EPOCHS, NetworkLearner

    found = []
    for seed in range(seeds):
        found.append(run(NetworkLearner(seed, MOST_EPOCHS), seed))
        say(f"network, seed {seed}: rank IC {found[-1][0].figures['rank_ic']:.4f}")
    return [outcome for outcome, _ in found], np.mean([ic for _, ic in found], axis=0), MOST_EPOCHS


def _outcome(
    scores_TN: Floats, panel: Panel, first: int, benchmarks: dict[str, Floats], rules: Rules,
    chosen: dict[str, float], seed: int | None,
) -> tuple[Outcome, Floats]:  # fmt: skip
    """The figures of one set of scores, and its daily rank IC."""
    ic_T = daily_ic(scores_TN[first:], panel.labels[first:], rank=False)
    rank_T = daily_ic(scores_TN[first:], panel.labels[first:], rank=True)
    track = simulate(scores_TN, panel, first, rules)
    excess, intervals = excess_figures(track.returns, benchmarks)
    ic, rank = ic_figures(ic_T), ic_figures(rank_T)
    drag = float(track.cost_drag.mean() * DAYS)
    figures = {
        "rank_ic": rank["mean"], "rank_icir": rank["ir"], "ic": ic["mean"], "icir": ic["ir"],
        **track_figures(track.returns), **excess,
        "cost_drag": drag, "excess_index_before_costs": excess["excess_index"] + drag,
        "turnover_a_day": float(track.turnover.mean()), "refused_orders": float(track.refused),
    }  # fmt: skip
    intervals["rank_ic"], intervals["ic"] = mean_interval(rank_T), mean_interval(ic_T)
    return Outcome(seed, chosen, figures, intervals, track.returns), rank_T


def _model(
    name: str, about: str, runs: list[Outcome], ic_T: Floats, benchmarks: dict[str, Floats], trials: int,
    sharpes: list[float],
) -> ModelResult:  # fmt: skip
    seeds = with_deflated_sharpe(runs, benchmarks["index"], trials, sharpes)
    mean = mean_outcome(seeds, benchmarks, ic_T)
    return ModelResult(name, about, mean, seeds, warnings_of(mean, seeds), verdict_of(mean, list(benchmarks)))


def _daily_sharpe(differences_T: Floats) -> float:
    return float(differences_T.mean() / differences_T.std(ddof=1))


def _meta(
    path: Path,
    sha256: str,
    bars: pd.DataFrame,
    spells: pd.DataFrame,
    panel: Panel,
    index: str,
    rules: Rules,
    seeds: int,
) -> dict[str, Any]:
    choice, folds = plan(panel.dates)
    day = [f"{date:%Y-%m-%d}" for date in panel.dates]
    coverage = _coverage(panel)
    listed, as_of = _list_dates(spells, panel.symbols)
    return {
        "data": {"file": path.name, "sha256": sha256, "rows": len(bars), "stocks": len(panel.symbols), "from": day[0], "to": day[-1]},
        "universe": {
            "index": "CSI 300", "source": membership.SOURCE, "point_in_time": True, "coverage": coverage,
            "survivorship": "complete" if min(coverage.values()) >= 0.99 else "survivor-reduced",
            "list_dates": as_of, "list_members": listed,
        },
        "benchmark_source": {"name": index, "source": INDEX_SOURCE},
        "windows": {
            "train": [day[0], day[choice.train_stop - 1]], "valid": [day[choice.start], day[choice.stop - 1]],
            "test": [day[folds[0].start], day[-1]], "refits": [day[fold.start] for fold in folds], "embargo_days": HORIZON,
        },
        "label": "close of t+1 to close of t+2, total return",
        "rules": asdict(rules), "seeds": seeds,
    }  # fmt: skip


def _coverage(panel: Panel) -> dict[str, float]:
    """By year, the mean share of the 300 members that the file has."""
    have = pd.Series(panel.universe.sum(1) / _MEMBERS, index=panel.dates)
    return {
        str(year): round(float(share), 3) for year, share in have.groupby(panel.dates.year).mean().items()
    }


def _list_dates(spells: pd.DataFrame, symbols: Sequence[str]) -> tuple[int, list[str]]:
    """How many of the file's names were members when the membership fitted them best, and from when to when."""
    days = pd.DatetimeIndex(np.unique(np.concatenate([spells["start"], spells["stop"].dropna()])))
    counts = membership.members(spells, days, list(symbols)).sum(1)
    first = int(counts.argmax())
    changed = np.flatnonzero(counts[first:] < counts[first])
    until = f"{days[first + changed[0]] - pd.Timedelta(days=1):%Y-%m-%d}" if len(changed) else "now"
    return int(counts.max()), [f"{days[first]:%Y-%m-%d}", until]


def _thin(meta: dict[str, Any]) -> Flag:
    universe = meta["universe"]
    worst = min(universe["coverage"].values())
    return Flag(
        "thin_coverage", round((1 - worst) * _MEMBERS),
        f"survivor-reduced: the file's names fit the membership of {' to '.join(universe['list_dates'])} best; members "
        f"that left before are missing (coverage {worst:.0%} in the thinnest year). Returns are flattered by it.",
    )  # fmt: skip


def strategy(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    """The built-in strategy ``ridge`` or ``network`` as the audit takes it: a long panel in, scores out.

    The network has one seed and one epoch here: how long it is trained does not change what it may see.
    """

    def predict(frame: pd.DataFrame) -> pd.Series:
        learner: Learner
        if name == "ridge":
            learner = RidgeLearner()
        else:
            from doyen_finance.backtest.network import NetworkLearner

            learner = NetworkLearner(seed=0, most_epochs=1)
        panel = wide(frame)
        return long_scores(panel, walk_forward(inputs_of(panel), learner))

    return predict
