"""The index protocol: hold the CSI 300 or cash, decided by a linear model, against holding it all the time.

Train 2006 to 2017, validation 2018 to 2019, test from 2020 on, refitted every quarter. The scores of day t are dealt at
the close of t + 1, so that they earn the return of t + 2: the same label and embargo as for stocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from doyen_finance.backtest.figures import DAYS, block_bootstrap
from doyen_finance.backtest.index import SOURCE, index_bars
from doyen_finance.backtest.panel import HORIZON, Floats
from doyen_finance.backtest.portfolio import Rules
from doyen_finance.backtest.result import (
    Backtest,
    ModelResult,
    Outcome,
    excess_figures,
    overall_verdict,
    track_figures,
    verdict_of,
    with_deflated_sharpe,
)
from doyen_finance.backtest.walk import Fold, Plan, plan

TRAIN_QUARTERS: Final = 48
VALID_QUARTERS: Final = 8
PENALTIES: Final = (1e1, 1e2, 1e3, 1e4)
NOTES: Final = [
    "The index is a price index: neither the model nor buy-and-hold earns dividends, and cash earns nothing.",
    "An index cannot be bought at its own close; costs are those of a fund that follows it.",
    "The fixed mix holds the model's own mean exposure every day: what is above it is timing, not exposure.",
]


@dataclass(frozen=True)
class Series:
    """(T, F) factors and (T,) labels of one series; the last two labels are NaN."""

    dates: pd.DatetimeIndex
    returns_T: Floats
    factors_TF: Floats
    label_T: Floats


def series_of(bars: pd.DataFrame) -> Series:
    """Causal factors of an index's daily bars: returns, volatility, trend, volume; 0 while their window is short."""
    close, volume = bars["close"], bars["volume"].replace(0, np.nan)
    simple = close / close.shift() - 1
    log = np.log1p(simple)
    columns = [
        log, *(log.rolling(days).sum() for days in (5, 20, 60, 120, 250)), log.rolling(20).std(), log.rolling(60).std(),
        log.rolling(20).std() / log.rolling(120).std(), close / close.rolling(20).mean() - 1,
        close / close.rolling(120).mean() - 1, close / close.rolling(250).max() - 1,
        volume.rolling(5).mean() / volume.rolling(20).mean(), volume.rolling(20).mean() / volume.rolling(120).mean(),
        ((bars["high"] - bars["low"]) / close).rolling(20).mean(), bars["close"] / bars["open"] - 1,
    ]  # fmt: skip
    factors = pd.concat(columns, axis=1).replace([np.inf, -np.inf], np.nan).fillna(0.0)
    return Series(
        pd.DatetimeIndex(bars.index), simple.to_numpy(), factors.to_numpy(), simple.shift(-HORIZON).to_numpy()
    )


def walk_series(series: Series, penalties: tuple[float, ...] = PENALTIES) -> tuple[Floats, Plan, float]:
    """(T,) scores of the test days, the plan, and the penalty that the validation part chose."""
    schedule = plan(series.dates, TRAIN_QUARTERS, VALID_QUARTERS)
    label_T = series.label_T[schedule.choice.start : schedule.choice.stop]
    found = [_correlation(_scores(series, schedule.choice, penalty), label_T) for penalty in penalties]
    penalty = penalties[int(np.argmax(found))]
    scores_T = np.full(len(series.dates), np.nan)
    for fold in schedule.folds:
        scores_T[fold.start : fold.stop] = _scores(series, fold, penalty)
    return scores_T, schedule, penalty


def hold_or_cash(
    scores_T: Floats, returns_T: Floats, first: int, rules: Rules
) -> tuple[Floats, Floats, Floats]:
    """Exposure, costs and returns after costs, (T',) each, of days ``first + 1`` on: long where the score is positive.

    The score of t decides at the close of t + 1 and so the return of t + 2; what changes hands there costs.
    """
    exposure_T = np.concatenate([[0.0], (scores_T[first:-HORIZON] > 0).astype(float)])
    change_T = np.diff(exposure_T, prepend=0.0)
    cost_T = np.where(change_T > 0, change_T * rules.buy_cost, -change_T * rules.sell_cost)
    return exposure_T, cost_T, exposure_T * returns_T[first + 1 :] - cost_T


def backtest_index(name: str = "hs300", say: Callable[[str], None] = lambda _: None) -> Backtest:
    """Walk forward over the index and compare. Raises FIN-063, FIN-065."""
    series = series_of(index_bars(name))
    rules = Rules()
    scores_T, schedule, penalty = walk_series(series)
    first = schedule.folds[0].start
    exposure_T, _, _ = hold_or_cash(scores_T, series.returns_T, first, rules)
    held_T = series.returns_T[first + 1 :]
    benchmarks = {"buy_and_hold": held_T, "fixed_mix": held_T * exposure_T.mean()}
    trials = [
        _outcome(series, walk_series(series, (one,))[0], one, first, benchmarks, rules) for one in PENALTIES
    ]
    chosen = trials[PENALTIES.index(penalty)]
    say(f"ridge: correlation {chosen.figures['ic']:.4f}")
    sharpes = [float((run.returns - held_T).mean() / (run.returns - held_T).std(ddof=1)) for run in trials]
    seeds = with_deflated_sharpe([chosen], held_T, len(PENALTIES), sharpes)
    model = ModelResult(
        "ridge", f"ridge regression on {series.factors_TF.shape[1]} factors of the index, long or cash", seeds[0], seeds,
        [], verdict_of(seeds[0], list(benchmarks)),
    )  # fmt: skip
    return Backtest(
        protocol=f"index:{name}", verdict=overall_verdict([model]), models=[model], dates=series.dates[first + 1 :],
        benchmarks=benchmarks, trials=len(PENALTIES), meta=_meta(name, series, schedule), notes=NOTES,
    )  # fmt: skip


def _outcome(
    series: Series, scores_T: Floats, penalty: float, first: int, benchmarks: dict[str, Floats], rules: Rules
) -> Outcome:
    exposure_T, cost_T, returns_T = hold_or_cash(scores_T, series.returns_T, first, rules)
    excess, intervals = excess_figures(returns_T, benchmarks)
    pairs_T2 = np.column_stack([scores_T, series.label_T])[first:-HORIZON]
    intervals["ic"] = block_bootstrap(pairs_T2, lambda drawn: _correlation(drawn[:, 0], drawn[:, 1]))
    figures = {
        "ic": _correlation(pairs_T2[:, 0], pairs_T2[:, 1]),
        "right_direction": float(((pairs_T2[:, 0] > 0) == (pairs_T2[:, 1] > 0)).mean()),
        "up_days": float((pairs_T2[:, 1] > 0).mean()),
        **track_figures(returns_T), **excess, "cost_drag": float(cost_T.mean() * DAYS),
        "exposure": float(exposure_T.mean()),
        "switches_a_year": float((np.diff(exposure_T) != 0).mean() * DAYS),
    }  # fmt: skip
    return Outcome(None, {"penalty": penalty}, figures, intervals, returns_T)


def _scores(series: Series, fold: Fold, penalty: float) -> Floats:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
    model.fit(series.factors_TF[1 : fold.train_stop], series.label_T[1 : fold.train_stop])
    return model.predict(series.factors_TF[fold.start : fold.stop])


def _correlation(scores_T: Floats, labels_T: Floats) -> float:
    if np.ptp(scores_T) == 0 or np.ptp(labels_T) == 0:
        return 0.0
    return float(np.corrcoef(scores_T, labels_T)[0, 1])


def _meta(name: str, series: Series, schedule: Plan) -> dict[str, Any]:
    day = [f"{date:%Y-%m-%d}" for date in series.dates]
    choice, folds = schedule
    return {
        "data": {"source": SOURCE, "name": name, "rows": len(day), "from": day[0], "to": day[-1]},
        "universe": {"index": "CSI 300", "source": SOURCE, "point_in_time": True, "survivorship": "not concerned"},
        "windows": {
            "train": [day[0], day[choice.train_stop - 1]], "valid": [day[choice.start], day[choice.stop - 1]],
            "test": [day[folds[0].start], day[-1]], "refits": [day[fold.start] for fold in folds], "embargo_days": HORIZON,
        },
        "label": "close of t+1 to close of t+2",
    }  # fmt: skip
