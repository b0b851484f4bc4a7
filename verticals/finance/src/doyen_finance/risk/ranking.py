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


def ranking(label: NDArray[np.int64], score: Floats, weight: Floats) -> Ranking | None:
    """Rows of equal score count at once; None where a class is absent (or of no weight). All arguments (N,)."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    hits = np.cumsum((weight * label)[order])[last]
    rest = np.cumsum((weight * (1 - label))[order])[last]
    if not len(hits) or not hits[-1] or not rest[-1]:
        return None
    new_hits, new_rest = np.diff(hits, prepend=0), np.diff(rest, prepend=0)
    area = float((new_rest * (hits - new_hits / 2)).sum() / (hits[-1] * rest[-1]))
    found = hits + rest
    precision = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
    return Ranking(area, float((new_hits * precision).sum() / hits[-1]))
