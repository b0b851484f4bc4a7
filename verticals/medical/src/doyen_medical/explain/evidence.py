"""What each finding says for or against a disease: likelihood ratio, share of patients, sources.

The ratios are those of the ranking's own tables (LIRICAL, Robinson 2020). A finding that was looked for and excluded
gets the ratio of its absence; it is shown, and never ranks. A finding that the disease's own rows give as seen in
nobody contradicts it, with those rows as sources, whatever a wider finding says: the ranking backs off, a reader is
told what was counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import scipy.sparse as sp
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
    published finding that matched: the same, a wider or a narrower one. ``share`` of patients is annotated (0: seen in nobody);
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
        disease = _Disease.of(self.library, column)
        found = [self._observed(disease, term) for term in observed]
        found += [self._excluded(disease, term) for term in excluded]
        order = {"supports": 0, "contradicts": 1, "unexplained": 2, "neutral": 3}
        return sorted(found, key=lambda w: (order[w.role], -abs(w.log10_ratio), w.term))

    def _observed(self, disease: _Disease, term: int) -> Weight:
        lib = self.library
        ancestors = lib.ancestors.indices[lib.ancestors.indptr[term] : lib.ancestors.indptr[term + 1]]
        shares, had = disease.share_T[ancestors], disease.had_T[ancestors]
        known = shares > 0
        both = (KNOWLEDGE_PATIENTS * shares + had) / np.maximum(
            KNOWLEDGE_PATIENTS * known.any() + disease.examined, 1e-9
        )
        ratios = np.log10(NOISE + np.minimum(both, 1) / lib.background_T[ancestors])
        best = int(ratios.argmax()) if len(ratios) else 0
        ratio = float(ratios[best]) if both.any() else math.log10(NOISE)
        role: Role = "supports" if ratio > SUPPORT else "unexplained"
        by = int(ancestors[best]) if both.any() and both[best] > 0 else None
        denials = disease.denials(lib, term)
        if denials and not disease.share_T[term] and not disease.had_T[term]:
            ratio = round(math.log10(NOISE), 3)
            return Weight(term, True, "contradicts", ratio, term, 0.0, 0, disease.examined, denials)
        return Weight(
            term, True, role, round(ratio, 3), by if role == "supports" else None,
            float(shares[best]) if shares[best] > 0 else None, int(had[best]), disease.examined,
            disease.sources(lib, by) if by is not None and role == "supports" else (),
        )  # fmt: skip

    def _excluded(self, disease: _Disease, term: int) -> Weight:
        share, had = float(disease.share_T[term]), float(disease.had_T[term])
        trust = KNOWLEDGE_PATIENTS * (share > 0)
        both = (trust * share + had) / (trust + disease.examined) if trust + disease.examined else 0.0
        ratio = math.log10((1 - 0.95 * both) / (1 - 0.95 * float(self.library.background_T[term])))
        role: Role = "contradicts" if ratio < -SUPPORT else "neutral"
        by = term if role == "contradicts" else None
        return Weight(
            term, False, role, round(ratio, 3), by, share or None, int(had), disease.examined,
            disease.sources(self.library, term) if by is not None else (),
        )  # fmt: skip


@dataclass(frozen=True)
class _Disease:
    """What is known of one disease, laid out by finding once for all of a patient's findings.

    Shape legend: T terms, C its published patients, R its annotation rows.
    """

    share_T: NDArray[np.float32]
    had_T: NDArray[Any]
    examined: int
    cases: NDArray[np.intp]
    case_TC: sp.csc_matrix
    rows: NDArray[np.intp]
    row_TR: sp.csc_matrix
    absent: NDArray[np.intp]

    @classmethod
    def of(cls, lib: Library, column: int) -> _Disease:
        """From a column of the library; the annotation rows are those of the disease's ORPHA codes too."""
        share = lib.share_DT[[column]]
        share_T = np.zeros(share.shape[1], np.float32)
        share_T[share.indices] = share.data
        cases = np.flatnonzero(lib.case_C == column)
        case_CT = lib.case_CT[cases]
        codes = [lib.codes[column], *lib.same.get(lib.codes[column], ())]
        notes = lib.annotations
        rows = np.sort(np.concatenate([lib.rows_of_disease(notes.number[c]) for c in codes if c in notes.number]
                                      or [np.array([], np.intp)]))  # fmt: skip
        rows = rows[(notes.aspect_R[rows] == "P") & ~notes.negated_R[rows]]
        absent = notes.absent_R[rows]
        return cls(
            share_T, np.asarray(case_CT.sum(0)).ravel(), len(cases), cases, sp.csc_matrix(case_CT), rows[~absent],
            sp.csc_matrix(lib.ancestors[notes.term_R[rows[~absent]]]), rows[absent],
        )  # fmt: skip

    def sources(self, lib: Library, term: int) -> tuple[str, ...]:
        """References of the annotation rows at or below the finding, and papers of the published patients with it."""
        papers = {lib.cases[at].paper for at in self.cases[_having(self.case_TC, term)]}
        return _first(_references(lib, self.rows[_having(self.row_TR, term)]) | papers)

    def denials(self, lib: Library, term: int) -> tuple[str, ...]:
        """References of the rows that say of this very finding that nobody had it."""
        return _first(_references(lib, self.absent[lib.annotations.term_R[self.absent] == term]))


def _references(lib: Library, rows: NDArray[np.intp]) -> set[str]:
    notes = lib.annotations
    parts = {part.strip() for at in rows for part in notes.references[notes.reference_R[at]].split(";")}
    return parts - {""}


def _first(sources: set[str]) -> tuple[str, ...]:
    return tuple(sorted(sources, key=lambda name: (not name.startswith("PMID"), name)))[:_MOST_SOURCES]


def _having(matrix: sp.csc_matrix, term: int) -> NDArray[Any]:
    """The rows of a matrix of ones that have the term."""
    return np.sort(matrix.indices[matrix.indptr[term] : matrix.indptr[term + 1]])
