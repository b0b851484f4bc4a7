"""The floor methods: one score each, no learning; they stand beside every figure.

Only OMIM rows; ``fusion`` adds standardised scores with fixed weights (likelihood ratio 4, Resnik 1, profile cosine
0.5, nearest patient 0.25).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_medical.cases import Patient
from doyen_medical.rank.features import Scorer
from doyen_medical.rank.library import Library

Scores = dict[str, NDArray[Any]]
_LITERATURE: Final = {"nbK": 4.0, "resK": 1.0, "cosK": 0.5}
_PATIENTS: Final = {"nbM": 4.0, "resM": 1.0, "cosT": 0.5, "knn": 0.25}


def methods(library: Library) -> Callable[[Patient], Scores]:
    """A function from a patient to each method's score of every column; what is no candidate gets the lowest."""
    scorer, out = Scorer(library), ~library.candidate_D

    def score(patient: Patient) -> Scores:
        found = scorer.score(patient)
        scores = {"resnik": found["resK"], "likelihood_ratio": found["nbK"]}
        if library.cases:
            scores |= {"resnik_with_profiles": found["resM"], "nearest_patient": found["knn"]}
        scores["fusion"] = _sum(found, _PATIENTS if library.cases else _LITERATURE, ~out)
        return {name: np.where(out, -np.inf, values) for name, values in scores.items()}

    return score


def _sum(
    found: Mapping[str, NDArray[Any]], weights: Mapping[str, float], among: NDArray[np.bool_]
) -> NDArray[Any]:
    parts = [
        weight * (found[name] - found[name][among].mean()) / (found[name][among].std() + 1e-9)
        for name, weight in weights.items()
    ]
    return np.asarray(np.sum(parts, 0))
