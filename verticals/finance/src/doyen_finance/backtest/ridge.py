"""A ridge regression on the factors: scaler and weights come from the training rows alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from doyen_finance.backtest.figures import daily_ic, ic_figures
from doyen_finance.backtest.inputs import Inputs
from doyen_finance.backtest.panel import Floats
from doyen_finance.backtest.walk import Fold

PENALTIES: Final = (1e2, 1e3, 1e4, 1e5)
"""Tried on the validation part; each counts as a trial."""


class RidgeLearner:
    """Ridge regression of the ranked label; the penalty is chosen on the validation part by rank IC."""

    def __init__(self, penalties: tuple[float, ...] = PENALTIES) -> None:
        self.penalties = penalties
        self.penalty = penalties[0]

    def choose(self, inputs: Inputs, fold: Fold) -> None:
        """Keep the penalty with the best rank IC on the fold."""
        if len(self.penalties) == 1:
            return
        labels = inputs.target_TN[fold.start : fold.stop]
        found = [
            ic_figures(daily_ic(_scores(inputs, fold, penalty), labels, rank=True))["mean"]
            for penalty in self.penalties
        ]
        self.penalty = (
            self.penalties[int(np.nanargmax(found))] if np.isfinite(found).any() else self.penalties[0]
        )

    def scores(self, inputs: Inputs, fold: Fold) -> Floats:
        """(stop - start, N) scores of the fold."""
        return _scores(inputs, fold, self.penalty)

    def chosen(self) -> dict[str, float]:
        return {"penalty": self.penalty}


def _scores(inputs: Inputs, fold: Fold, penalty: float) -> Floats:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = inputs.training_rows(fold.train_stop)
    model = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
    model.fit(inputs.factors_TNF[train.t_M, train.n_M], inputs.target_TN[train.t_M, train.n_M])
    rows = inputs.scored_rows(fold.start, fold.stop)
    return inputs.scatter(model.predict(inputs.factors_TNF[rows.t_M, rows.n_M]), rows, fold.start, fold.stop)
