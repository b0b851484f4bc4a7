"""Causal factors: what is known of a stock at the close of day t, ranked among the members of that day.

Ranks over one day's members need no scaler over time; names without a value stand in the middle.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from doyen_finance.backtest.panel import Floats, Panel

FACTORS: Final = (
    "return_1", "return_5", "return_20", "momentum_60_5", "momentum_120_20", "volatility_20", "volatility_60",
    "highest_20", "skew_20", "volume_5_20", "volume_20_60", "amount_20", "illiquidity_20", "range_20", "overnight_20",
    "intraday_1", "close_in_range_1", "near_high_60", "return_volume_20", "beta_60",
)  # fmt: skip


def factors(panel: Panel) -> Floats:
    """(T, N, F) factors of ``FACTORS`` and of the panel's own extra columns, ranked per day to [-1, 1]."""
    raw = [*_raw(panel).values(), *(pd.DataFrame(values) for values in panel.extra.values())]
    return np.stack([ranked(column.to_numpy(), panel.universe) for column in raw], axis=-1)


def ranked(values_TN: Floats, among_TN: np.ndarray) -> Floats:
    """Rank per day among ``among_TN`` scaled to [-1, 1]; 0 where the value is missing."""
    known = pd.DataFrame(np.where(among_TN & np.isfinite(values_TN), values_TN, np.nan))
    place, count = known.rank(axis=1), known.notna().sum(axis=1)
    scaled = place.sub((count + 1) / 2, axis=0).div((count - 1).clip(lower=1) / 2, axis=0)
    return scaled.fillna(0.0).to_numpy()


def _raw(panel: Panel) -> dict[str, pd.DataFrame]:
    simple = pd.DataFrame(panel.returns)
    log = np.log1p(simple)
    volume = pd.DataFrame(panel.volume)
    amount = pd.DataFrame(panel.amount)
    level = log.fillna(0.0).cumsum()
    """Log of the total-return price: constant while suspended, so that a window over the gap spans it."""

    def mean(frame: pd.DataFrame, days: int) -> pd.DataFrame:
        return frame.rolling(days, min_periods=days // 2).mean()

    market = simple.where(panel.universe).mean(axis=1)
    covariance = mean(simple.mul(market, axis=0), 60) - mean(simple, 60).mul(
        mean(market.to_frame(), 60)[0], axis=0
    )
    traded = volume.where(volume > 0)
    change = np.log(traded).diff()
    spread = pd.DataFrame(panel.high - panel.low)
    columns = (
        simple, log.rolling(5, min_periods=3).sum(), log.rolling(20, min_periods=10).sum(),
        level.shift(5) - level.shift(60), level.shift(20) - level.shift(120),
        log.rolling(20, min_periods=10).std(), log.rolling(60, min_periods=30).std(),
        simple.rolling(20, min_periods=10).max(), simple.rolling(20, min_periods=10).skew(),
        mean(traded, 5) / mean(traded, 20), mean(traded, 20) / mean(traded, 60), mean(amount, 20),
        mean(simple.abs() / amount.where(amount > 0), 20), mean(spread / panel.pre_close, 20),
        mean(pd.DataFrame(panel.open / panel.pre_close - 1), 20), pd.DataFrame(panel.close / panel.open - 1),
        (panel.close - panel.low) / spread.where(spread > 0), level - level.rolling(60, min_periods=30).max(),
        log.rolling(20, min_periods=10).corr(change), covariance,
    )  # fmt: skip
    return dict(zip(FACTORS, columns, strict=True))
