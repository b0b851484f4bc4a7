"""The figures of a backtest, each with an interval, and the Sharpe ratio deflated by the number of trials.

Shape legend: T days, N stocks, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import stats

from doyen_finance.backtest.panel import Floats

DAYS: Final = 242
"""Trading days a year in China, the mean of 2006 to 2025."""
BLOCK: Final = 20
"""Days a block: a month, longer than the memory of a book that changes a tenth of its names a day."""
_FEWEST: Final = 10
"""Names below which a day has no correlation."""


class Interval(NamedTuple):
    low: float
    high: float


def daily_ic(scores_TN: Floats, labels_TN: Floats, *, rank: bool) -> Floats:
    """(T,) correlation of scores and labels within each day, Spearman's if ``rank``; NaN where it is not defined."""
    ic_T = np.full(len(scores_TN), np.nan)
    for t, (score_N, label_N) in enumerate(zip(scores_TN, labels_TN, strict=True)):
        both = np.isfinite(score_N) & np.isfinite(label_N)
        if both.sum() < _FEWEST or np.ptp(score_N[both]) == 0 or np.ptp(label_N[both]) == 0:
            continue
        score, label = score_N[both], label_N[both]
        if rank:
            score, label = stats.rankdata(score), stats.rankdata(label)
        ic_T[t] = np.corrcoef(score, label)[0, 1]
    return ic_T


def ic_figures(ic_T: Floats) -> dict[str, float]:
    """Mean and mean over deviation (ICIR, not annualised) of a daily correlation."""
    known = ic_T[np.isfinite(ic_T)]
    if len(known) < 2 or known.std(ddof=1) == 0:
        return {"mean": float(known.mean()) if len(known) else float("nan"), "ir": float("nan")}
    return {"mean": float(known.mean()), "ir": float(known.mean() / known.std(ddof=1))}


def annualised(returns_T: Floats) -> float:
    """Compound return a year."""
    return float(np.expm1(np.log1p(returns_T).mean() * DAYS)) if len(returns_T) else float("nan")


def annualised_mean(differences_T: Floats) -> float:
    """Sum of daily differences a year, as excess returns are usually quoted (qlib's ``risk_analysis``)."""
    return float(differences_T.mean() * DAYS)


def information_ratio(differences_T: Floats) -> float:
    """Annualised mean over annualised deviation; a Sharpe ratio when the differences are to zero."""
    deviation = differences_T.std(ddof=1)
    return float(differences_T.mean() / deviation * np.sqrt(DAYS)) if deviation > 0 else float("nan")


def growth(returns_T: Floats) -> Floats:
    """(T,) gain since the start, compounded."""
    return np.expm1(np.cumsum(np.log1p(returns_T)))


def drawdown(returns_T: Floats) -> Floats:
    """(T,) loss since the highest value so far, 0 or negative; the start counts as a value."""
    wealth = np.concatenate([[1.0], np.cumprod(1 + returns_T)])
    return (wealth / np.maximum.accumulate(wealth) - 1)[1:]


def block_bootstrap(
    values_T: Floats,
    figure: Callable[[Floats], float],
    *,
    block: int = BLOCK,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """95 % percentile interval over circular blocks of days (Politis & Romano 1992): neighbours stay together."""
    days = len(values_T)
    rng = np.random.default_rng(seed)
    starts = rng.integers(days, size=(draws, -(-days // block)))
    index_DT = ((starts[:, :, None] + np.arange(block)) % days).reshape(draws, -1)[:, :days]
    drawn = np.array([figure(values_T[index_T]) for index_T in index_DT])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Interval(float(low), float(high))


def expected_best_sharpe(trials: int, deviation: float) -> float:
    """The Sharpe ratio that the best of ``trials`` skill-less strategies is expected to show.

    Bailey and López de Prado, The Deflated Sharpe Ratio, J. of Portfolio Management 40(5), 2014. ``deviation``: that of
    the trials' Sharpe ratios, a period as the result.
    """
    if trials < 2:
        return 0.0
    first = stats.norm.ppf(1 - 1 / trials)
    second = stats.norm.ppf(1 - 1 / (trials * np.e))
    return float(deviation * ((1 - np.euler_gamma) * first + np.euler_gamma * second))


def probabilistic_sharpe(sharpe: float, against: float, days: int, skew: float, kurtosis: float) -> float:
    """The chance that the true Sharpe ratio a day is above ``against`` (2014, eq. 1); a normal's kurtosis is 3."""
    variance = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if variance <= 0 or days < 2:
        return float("nan")
    return float(stats.norm.cdf((sharpe - against) * np.sqrt(days - 1) / np.sqrt(variance)))


def deflated_sharpe(returns_T: Floats, trials: int, trial_sharpes: Sequence[float]) -> float:
    """The chance that ``returns_T`` has skill after ``trials`` were made, whose Sharpe ratios a day are like those given."""
    deviation = returns_T.std(ddof=1)
    if not deviation > 0:
        return float("nan")
    spread = float(np.std(trial_sharpes, ddof=1)) if len(trial_sharpes) > 1 else 0.0
    return probabilistic_sharpe(
        float(returns_T.mean() / deviation), expected_best_sharpe(trials, spread), len(returns_T),
        float(stats.skew(returns_T)), float(stats.kurtosis(returns_T, fisher=False)),
    )  # fmt: skip
