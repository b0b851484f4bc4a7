"""The floor: last week's losers first. Nothing is fitted; a trained model that does not beat it has learned little."""

from __future__ import annotations

import numpy as np

from doyen_finance.backtest.factors import FACTORS
from doyen_finance.backtest.inputs import Inputs
from doyen_finance.backtest.panel import Floats
from doyen_finance.backtest.walk import Fold


class ReversalFloor:
    """Scores are the turned-around rank of the return of five days."""

    def choose(self, inputs: Inputs, fold: Fold) -> None:
        """Nothing is chosen."""

    def scores(self, inputs: Inputs, fold: Fold) -> Floats:
        """(stop - start, N) scores of the fold."""
        days = slice(fold.start, fold.stop)
        rank_TN = inputs.factors_TNF[days, :, FACTORS.index("return_5")]
        return np.where(inputs.universe_TN[days], -rank_TN, np.nan)

    def chosen(self) -> dict[str, float]:
        return {}
