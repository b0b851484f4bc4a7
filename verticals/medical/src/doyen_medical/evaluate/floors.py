"""The floor methods, as measured before the project: they stand beside every figure.

Only OMIM rows, one score each, no learning; ``fusion`` adds standardised scores with weights that were tuned on the
development cases (likelihood ratio 4, Resnik 1, profile cosine 0.5, nearest patient 0.25).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doyen_medical.cases import Patient
from doyen_medical.rank.features import Scorer
from doyen_medical.rank.library import Library

Score = Callable[[Patient], NDArray[Any]]


def methods(library: Library) -> dict[str, Score]:
    """Score of every candidate by method; columns that are no candidates get the lowest."""
    scorer = Scorer(library)
    out = ~library.candidate_D
    last: tuple[Patient, dict[str, NDArray[Any]]] | None = None

    def scores(patient: Patient) -> dict[str, NDArray[Any]]:
        nonlocal last
        if last is None or last[0] is not patient:
            last = (patient, scorer.score(patient))
        return last[1]

    def one(name: str) -> Score:
        return lambda patient: np.where(out, -np.inf, scores(patient)[name])

    def sum_of(weights: dict[str, float]) -> Score:
        def fused(patient: Patient) -> NDArray[Any]:
            found = scores(patient)
            total = np.zeros(len(library.codes))
            for name, weight in weights.items():
                values = found[name][~out]
                total += weight * (found[name] - values.mean()) / (values.std() + 1e-9)
            return np.where(out, -np.inf, total)

        return fused

    found = {"resnik": one("resK"), "likelihood_ratio": one("nbK")}
    if library.cases:
        found |= {
            "resnik_with_profiles": one("resM"),
            "nearest_patient": one("knn"),
            "fusion": sum_of({"nbM": 4, "resM": 1, "cosT": 0.5, "knn": 0.25}),
        }
    else:
        found["fusion"] = sum_of({"nbK": 4, "resK": 1, "cosK": 0.5})
    return found
