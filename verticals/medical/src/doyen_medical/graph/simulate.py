"""Simulated patients of annotated diseases: drop-out, imprecise findings, noise (SHEPHERD, Alsentzer et al. 2025).

Shape legend: R annotation rows, T terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from doyen_medical.cases import Patient
from doyen_medical.rank.library import Library

# Shares chosen near SHEPHERD's; the numbers of findings follow the published train cases.
IMPRECISE: Final = 0.25
"""Share of the findings that are replaced by one of their three nearest ancestors."""
NOISE: Final = 0.15
"""Findings that have nothing to do with the disease, for each one that has."""
_REPORTED: Final = 0.9
_LEVELS: Final = 3


@dataclass(frozen=True)
class Simulator:
    """Draws patients of a library's diseases."""

    library: Library

    @cached_property
    def columns(self) -> np.ndarray:
        """The candidate diseases that have annotations."""
        return np.flatnonzero(self.library.candidate_D & (self.library.annotated_D > 0))

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        order = np.argsort(self.library.disease_R, kind="stable")
        starts = np.searchsorted(self.library.disease_R[order], np.arange(len(self.library.codes) + 1))
        return self.library.term_R[order], self.library.share_R[order], starts

    @cached_property
    def _parents(self) -> dict[int, list[int]]:
        ontology = self.library.knowledge.ontology
        found: dict[int, list[int]] = {}
        for child, parent in ontology.is_a_E2.tolist():
            if ontology.phenotypic[parent]:
                found.setdefault(child, []).append(parent)
        return found

    @cached_property
    def _noise_chance_T(self) -> np.ndarray:
        """Findings are met by chance as often as they are annotated, by their share."""
        count_T = np.bincount(
            self.library.term_R, self.library.share_R, minlength=len(self.library.knowledge.ontology.ids)
        )
        return np.cumsum(count_T / count_T.sum())

    def patient(self, column: int, rng: np.random.Generator) -> Patient:
        """A patient of the disease in ``column``; has at least one finding."""
        term_R, share_R, starts = self._sorted
        own = slice(starts[column], starts[column + 1])
        terms, share = term_R[own], share_R[own]
        wanted = 3 + int(rng.geometric(1 / 7)) - 1
        met = terms[rng.random(len(terms)) < share * _REPORTED]
        if not len(met):
            met = terms[[int(rng.integers(len(terms)))]]
        if len(met) > wanted:
            met = rng.choice(met, wanted, replace=False)
        found = [self._blurred(int(term), rng) for term in met]
        strangers = rng.poisson(NOISE * len(found))
        chance_T = self._noise_chance_T
        found += [min(int(at), len(chance_T) - 1) for at in np.searchsorted(chance_T, rng.random(strangers))]
        return Patient(tuple(sorted(set(found))))

    def _blurred(self, term: int, rng: np.random.Generator) -> int:
        if rng.random() < IMPRECISE:
            for _ in range(1 + int(rng.integers(_LEVELS))):
                above = self._parents.get(term)
                # The top branches ("Abnormality of the eye") say too little to be reported.
                if not above or self.library.content_T[above[0]] < 1.0:
                    break
                term = above[int(rng.integers(len(above)))]
        return term
