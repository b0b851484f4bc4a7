"""What the learners read, computed once a panel: ranked factors, ranked daily channels, ranked labels.

Shape legend: T days, N stocks, F factors, C channels, M rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_finance.backtest.factors import factors, ranked
from doyen_finance.backtest.panel import Booleans, Floats, Panel

Integers = NDArray[np.int64]


class Rows(NamedTuple):
    """Rows of the panel: day and stock by number, (M,) each."""

    t_M: Integers
    n_M: Integers


@dataclass(frozen=True)
class Inputs:
    """All that learners may see. ``target_TN`` is NaN where a row has no label; only training reads it."""

    dates: pd.DatetimeIndex
    factors_TNF: Floats
    channels_TNC: Floats
    target_TN: Floats
    universe_TN: Booleans

    def training_rows(self, stop: int) -> Rows:
        """Members of the days before ``stop`` whose label is known."""
        return self._rows(self.universe_TN & np.isfinite(self.target_TN), 0, stop)

    def scored_rows(self, start: int, stop: int) -> Rows:
        """Members of the days [start, stop), whatever their label: suspended and extreme ones stay."""
        return self._rows(self.universe_TN, start, stop)

    def _rows(self, among_TN: Booleans, start: int, stop: int) -> Rows:
        t_M, n_M = np.nonzero(among_TN[start:stop])
        return Rows(t_M + start, n_M)

    def scatter(self, values_M: Floats, rows: Rows, start: int, stop: int) -> Floats:
        """(stop - start, N) with the rows' values, NaN elsewhere."""
        scores_TN = np.full((stop - start, self.universe_TN.shape[1]), np.nan)
        scores_TN[rows.t_M - start, rows.n_M] = values_M
        return scores_TN


def inputs_of(panel: Panel) -> Inputs:
    """Factors, channels and labels of a panel; all but the labels are known at the close of their day."""
    amount = pd.DataFrame(panel.amount).where(panel.amount > 0)
    usual = amount.rolling(20, min_periods=10).mean()
    channels = (
        panel.returns,
        panel.close / panel.open - 1,
        (panel.high - panel.low) / panel.pre_close,
        (amount / usual).to_numpy(),
    )
    labelled_TN = panel.universe & np.isfinite(panel.labels)
    target_TN = ranked(panel.labels, labelled_TN)
    return Inputs(
        dates=panel.dates,
        factors_TNF=factors(panel),
        channels_TNC=np.stack([ranked(channel, panel.listed) for channel in channels], axis=-1),
        target_TN=np.where(labelled_TN, target_TN, np.nan),
        universe_TN=panel.universe,
    )
