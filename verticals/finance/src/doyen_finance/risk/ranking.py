"""AUC and average precision of weighted rows, fast enough for a bootstrap over a week of payments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ranking(NamedTuple):
    """Area under the ROC curve and average precision, as scikit-learn defines them."""

    auc: float
    ap: float


class Ranker:
    """One sort of the scores, (N,), for many weightings of the rows; rows of equal score count at once."""

    def __init__(self, label: NDArray[np.int64], score: Floats) -> None:
        self._order = np.argsort(-score, kind="stable")
        self._label = label[self._order].astype(bool)
        self._last = np.flatnonzero(np.append(np.diff(score[self._order]) != 0, True)) if len(score) else None

    def __call__(self, weight: Floats | None = None) -> Ranking | None:
        """None where a class is absent or has no weight; without ``weight``, (N,), every row counts once."""
        if self._last is None:
            return None
        one = np.ones(len(self._order)) if weight is None else weight[self._order]
        hits = np.cumsum(np.where(self._label, one, 0.0))[self._last]
        rest = np.cumsum(np.where(self._label, 0.0, one))[self._last]
        if not hits[-1] or not rest[-1]:
            return None
        new_hits, new_rest = np.diff(hits, prepend=0), np.diff(rest, prepend=0)
        area = float((new_rest * (hits - new_hits / 2)).sum() / (hits[-1] * rest[-1]))
        found = hits + rest
        precision = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
        return Ranking(area, float((new_hits * precision).sum() / hits[-1]))
