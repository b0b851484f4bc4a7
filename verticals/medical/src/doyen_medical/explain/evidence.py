"""What each finding says for or against a disease: likelihood ratio, share of patients, sources.

The ratios are those of the ranking's own tables (LIRICAL, Robinson 2020). A finding that was looked for and excluded
gets the ratio of its absence; it is shown, and never ranks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from doyen_medical.rank.features import KNOWLEDGE_PATIENTS, NOISE
from doyen_medical.rank.library import Library

Role = Literal["supports", "unexplained", "contradicts", "neutral"]
SUPPORT: Final = math.log10(1.25)
"""A log10 likelihood ratio beyond this supports, below its negative contradicts."""
_MOST_SOURCES: Final = 10


@dataclass(frozen=True, slots=True)
class Weight:
    """One finding for one disease.

    ``log10_ratio`` is of the observation, or of the absence where it was excluded. ``by`` is the annotated or
    published finding that matched: the same, a wider or a narrower one. ``share`` of patients is annotated;
    ``patients`` of ``examined`` published patients have it. ``sources`` as HPOA writes them.
    """

    term: int
    observed: bool
    role: Role
    log10_ratio: float
    by: int | None
    share: float | None
    patients: int
    examined: int
    sources: tuple[str, ...]


@dataclass
class Explainer:
    """Evidence by disease of one library."""

    library: Library

    def weigh(self, column: int, observed: Sequence[int], excluded: Sequence[int] = ()) -> list[Weight]:
        """Every finding's weight, the strongest support first, then the strongest contradiction."""
        found = [self._observed(column, term) for term in observed]
        found += [self._excluded(column, term) for term in excluded]
        order = {"supports": 0, "contradicts": 1, "unexplained": 2, "neutral": 3}
        return sorted(found, key=lambda w: (order[w.role], -abs(w.log10_ratio), w.term))

    def _observed(self, column: int, term: int) -> Weight:
        lib = self.library
        ancestors = lib.ancestors.indices[lib.ancestors.indptr[term] : lib.ancestors.indptr[term + 1]]
        shares = np.asarray(self.library.share_TD[ancestors, column].todense()).ravel()
        had, examined = self._published(column, ancestors)
        known = shares > 0
        both = (KNOWLEDGE_PATIENTS * shares + had) / np.maximum(
            KNOWLEDGE_PATIENTS * known.any() + examined, 1e-9
        )
        ratios = np.log10(NOISE + np.minimum(both, 1) / lib.background_T[ancestors])
        best = int(ratios.argmax()) if len(ratios) else 0
        ratio = float(ratios[best]) if both.any() else math.log10(NOISE)
        role: Role = "supports" if ratio > SUPPORT else "unexplained"
        by = int(ancestors[best]) if both.any() and both[best] > 0 else None
        return Weight(
            term, True, role, round(ratio, 3), by if role == "supports" else None,
            float(shares[best]) if shares[best] > 0 else None, int(had[best]), examined,
            self._sources(column, by) if by is not None and role == "supports" else (),
        )  # fmt: skip

    def _excluded(self, column: int, term: int) -> Weight:
        lib = self.library
        share = float(self.library.share_TD[term, column])
        had, examined = self._published(column, np.array([term]))
        trust = KNOWLEDGE_PATIENTS * (share > 0)
        both = (trust * share + float(had[0])) / (trust + examined) if trust + examined else 0.0
        ratio = math.log10((1 - 0.95 * both) / (1 - 0.95 * float(lib.background_T[term])))
        role: Role = "contradicts" if ratio < -SUPPORT else "neutral"
        by = term if role == "contradicts" else None
        return Weight(
            term, False, role, round(ratio, 3), by, share or None, int(had[0]), examined,
            self._sources(column, term) if by is not None else (),
        )  # fmt: skip

    def _published(self, column: int, terms: NDArray[Any]) -> tuple[NDArray[Any], int]:
        lib = self.library
        own = np.flatnonzero(lib.case_C == column)
        if not len(own):
            return np.zeros(len(terms)), 0
        return np.asarray(lib.case_CT[own][:, terms].sum(0)).ravel(), len(own)

    def _sources(self, column: int, term: int) -> tuple[str, ...]:
        """References of the annotation rows at or below the finding, and papers of the published patients with it."""
        lib = self.library
        codes = [lib.codes[column], *lib.same.get(lib.codes[column], ())]
        rows = lib.annotations
        own = np.flatnonzero(np.isin(rows.disease_R, [rows.number[c] for c in codes if c in rows.number]))
        own = own[(rows.aspect_R[own] == "P") & ~rows.negated_R[own]]
        below = lib.ancestors[rows.term_R[own]][:, [term]].toarray().ravel() > 0
        found = dict.fromkeys(
            part.strip()
            for at in own[below]
            for part in rows.references[rows.reference_R[at]].split(";")
            if part.strip()
        )
        cases = np.flatnonzero(lib.case_C == column)
        found |= dict.fromkeys(lib.cases[c].paper for c in cases if lib.case_CT[c, term])
        return tuple(sorted(found, key=lambda name: (not name.startswith("PMID"), name)))[:_MOST_SOURCES]
