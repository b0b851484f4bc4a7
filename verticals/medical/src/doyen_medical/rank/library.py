"""The diseases that can be ranked, as matrices over the findings: what is annotated and what patients had.

Shape legend: T terms, D diseases (columns), P diseases with patients, C published patients, R annotation rows.
Columns are every OMIM and ORPHA disease with a finding, and every patients' disease; the OMIM ones are candidates,
the ORPHA ones lend their findings to the OMIM code of the same disease and to kin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from doyen_medical.cases import Case
from doyen_medical.knowledge.annotations import Annotations
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank import tables
from doyen_medical.rank.align import same_disease, series
from doyen_medical.rank.tables import Floats, Ints

_X_LINKED: Final = ("HP:0001417", "HP:0001419", "HP:0001423")
_LARGEST_KIN: Final = 100
# Chosen by cross-validation by paper on the train cases.
UNSTATED: Final = 0.5
"""Share of patients assumed where an annotation states none."""
_PRIOR: Final = 0.5
_LEAST_SHARE: Final = 0.02
_LEAST_BACKGROUND: Final = 1e-3


@dataclass(frozen=True)
class Library:
    """Columns and their evidence; build one with ``build``.

    Attributes:
        annotations: the rows that it was built from.
        codes, names: by column.
        candidate_D: whether a column is ranked (OMIM, or a patients' disease).
        own_D: findings annotated to the code itself; ``merged_D``: whether an ORPHA entry was added to it.
        disease_R, term_R, share_R: pooled annotation rows: column, finding, share of patients.
        cases: the published patients; ``case_C`` their columns.
        gene_kin, series_kin: columns that share a gene, or a name but for its number, (D, D).
        x_linked_D: whether the inheritance is X-linked.
        same: OMIM code to its ORPHA codes.
    """

    knowledge: Knowledge
    annotations: Annotations
    codes: tuple[str, ...]
    names: tuple[str, ...]
    candidate_D: NDArray[np.bool_]
    own_D: Ints
    merged_D: NDArray[np.bool_]
    disease_R: Ints
    term_R: Ints
    share_R: Floats
    cases: tuple[Case, ...]
    case_C: Ints
    gene_kin: sp.csr_matrix
    series_kin: sp.csr_matrix
    x_linked_D: NDArray[np.bool_]
    same: dict[str, tuple[str, ...]]

    @cached_property
    def number(self) -> dict[str, int]:
        """Disease code to column."""
        return {code: column for column, code in enumerate(self.codes)}

    @cached_property
    def annotated_D(self) -> Ints:
        """Findings of each column, those of its ORPHA entry included."""
        return np.bincount(self.disease_R, minlength=len(self.codes))

    @cached_property
    def patients_D(self) -> Ints:
        """Published patients of each column."""
        return np.bincount(self.case_C, minlength=len(self.codes))

    @cached_property
    def papers_D(self) -> Ints:
        """Papers of those patients."""
        pairs = {(int(column), case.paper) for column, case in zip(self.case_C, self.cases, strict=True)}
        return np.bincount([column for column, _ in pairs], minlength=len(self.codes))

    @cached_property
    def ancestors(self) -> sp.csr_matrix:
        """(T, T)."""
        return tables.ancestor_matrix(self.knowledge.ontology)

    @cached_property
    def share_TD(self) -> sp.csr_matrix:
        """Share of a disease's patients with the finding or a narrower one, as annotated, (T, D)."""
        return tables.highest(self.ancestors, self.disease_R, self.term_R, self.share_R, len(self.codes))

    @cached_property
    def share_DT(self) -> sp.csr_matrix:
        """The same by disease, (D, T)."""
        return sp.csr_matrix(self.share_TD.T)

    def rows_of_disease(self, disease: int) -> Ints:
        """The annotation rows of a disease by its number in the annotations."""
        order, starts = self._rows_by_disease
        return order[starts[disease] : starts[disease + 1]]

    @cached_property
    def _rows_by_disease(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.annotations.disease_R, kind="stable")
        starts = np.searchsorted(
            self.annotations.disease_R[order], np.arange(len(self.annotations.diseases) + 1)
        )
        return order, starts

    @cached_property
    def patients_P(self) -> Ints:
        """The columns that have patients, (P,)."""
        return np.unique(self.case_C)

    @cached_property
    def place_C(self) -> Ints:
        """Each patient's place in ``patients_P``."""
        return np.searchsorted(self.patients_P, self.case_C)

    @cached_property
    def paper_C(self) -> Ints:
        """A number for each patient's paper."""
        return np.unique([case.paper for case in self.cases], return_inverse=True)[1].astype(np.int64)

    @cached_property
    def case_CT(self) -> sp.csr_matrix:
        """Findings of the patients with all their ancestors, (C, T)."""
        return self._closed(self.cases)

    def _closed(self, cases: Sequence[Case]) -> sp.csr_matrix:
        rows = tables.rows_of([case.patient.terms for case in cases], self.ancestors.shape[0])
        closed = sp.csr_matrix(rows @ self.ancestors)
        closed.data[:] = 1
        return closed

    @cached_property
    def background_T(self) -> Floats:
        """How often a finding or a narrower one is met: mean of its share over diseases and over patients' diseases."""
        known = self.candidate_D & (self.annotated_D > 0)
        share = np.asarray(self.share_TD[:, known].sum(1)).ravel() / max(1, known.sum())
        if self.cases:
            weight_C = 1 / self.patients_D[self.case_C]
            share = (share + (self.case_CT.T @ weight_C) / weight_C.sum()) / 2
        return np.maximum(share, _LEAST_BACKGROUND).astype(np.float32)

    @cached_property
    def content_T(self) -> Floats:
        """Information content of a finding: mean of the one from diseases that have it and the one from the background."""
        known = self.candidate_D & (self.annotated_D > 0)
        having = np.diff(sp.csr_matrix(self.share_TD[:, known]).indptr)
        total = max(1, int(known.sum()))
        ontology = self.knowledge.ontology
        by_disease = tables.information(having / total, ontology, 0.5 / total)
        return np.asarray(
            (by_disease + tables.information(self.background_T, ontology, 1e-4)) / 2, np.float32
        )


def build(
    knowledge: Knowledge, annotations: Annotations, cases: Sequence[Case] = (), *, orphanet: bool = True
) -> Library:
    """The library of these annotations (purged or as released) and published patients.

    Without ``orphanet`` no ORPHA entry lends its findings to an OMIM code.
    """
    cases = tuple(case for case in cases if case.patient.terms)
    findings = annotations.rows(
        (annotations.aspect_R == "P")
        & ~annotations.negated_R
        & knowledge.ontology.phenotypic[annotations.term_R]
    )
    present = np.unique(findings.disease_R[~findings.absent_R])
    findings = findings.rows(np.isin(findings.disease_R, present))
    codes = [annotations.diseases[d] for d in present]
    name = dict(zip(annotations.diseases, annotations.names, strict=True))
    known = set(codes)
    extra = {case.disease: case.disease_name for case in cases if case.disease not in known}
    codes += sorted(extra)
    names = [name.get(code) or extra[code] for code in codes]
    column = np.full(len(annotations.diseases), -1)
    column[present] = np.arange(len(present))
    number = {code: at for at, code in enumerate(codes)}
    named = dict(zip(codes, names, strict=True))
    same = same_disease(named, knowledge.genes, knowledge.maps) if orphanet else {}
    disease_R, term_R, share_R, merged = _pooled(findings, column, number, same, len(codes))
    seen, size = findings.rows(~findings.absent_R), len(knowledge.ontology.ids)
    own = np.bincount(np.unique(column[seen.disease_R] * size + seen.term_R) // size, minlength=len(codes))
    x_linked = np.zeros(len(codes), bool)
    linked = {knowledge.ontology.number[id] for id in _X_LINKED if id in knowledge.ontology.number}
    inherited = annotations.rows((annotations.aspect_R == "I") & np.isin(annotations.term_R, sorted(linked)))
    x_linked[[at for at in column[inherited.disease_R] if at >= 0]] = True
    return Library(
        knowledge=knowledge,
        annotations=annotations,
        codes=tuple(codes),
        names=tuple(names),
        candidate_D=np.array([not code.startswith("ORPHA:") for code in codes], bool),
        own_D=own,
        merged_D=merged,
        disease_R=disease_R,
        term_R=term_R,
        share_R=share_R,
        cases=cases,
        case_C=np.array([number[case.disease] for case in cases], np.int64),
        gene_kin=_kin([knowledge.genes.get(code, ()) for code in codes]),
        series_kin=_kin([(series(n),) if series(n) else () for n in names]),
        x_linked_D=x_linked,
        same=same,
    )


def _pooled(
    rows: Annotations, column: Ints, number: dict[str, int], same: dict[str, tuple[str, ...]], columns: int
) -> tuple[Ints, Ints, Floats, NDArray[np.bool_]]:
    """One row for each disease and finding. ``n/m`` counts are added up and shrunk (Beta prior), then classes averaged.

    An ORPHA entry's findings go to its OMIM code too; where both have counts, the OMIM code's own stay. A finding that
    every row gives as seen in nobody (``0/n``, excluded) is no finding of the disease and has no row.
    """
    disease_R, term_R = column[rows.disease_R], rows.term_R.astype(np.int64)
    hits_R, total_R, share_R = rows.hits_R, rows.total_R, rows.share_R
    merged = np.zeros(columns, bool)
    of_orpha: dict[int, list[int]] = defaultdict(list)
    for omim, orphas in same.items():
        for orpha in orphas:
            if omim in number and orpha in number:
                of_orpha[number[orpha]].append(number[omim])
                merged[number[omim]] = True
    lent = np.flatnonzero(np.isin(disease_R, sorted(of_orpha)))
    source = np.repeat(lent, [len(of_orpha[int(d)]) for d in disease_R[lent]])
    target = np.array([omim for d in disease_R[lent] for omim in of_orpha[int(d)]], np.int64)
    disease_R = np.concatenate([disease_R, target])
    term_R = np.concatenate([term_R, term_R[source]])
    hits_R = np.concatenate([hits_R, np.zeros(len(source), np.float32)])
    total_R = np.concatenate([total_R, np.zeros(len(source), np.float32)])
    share_R = np.concatenate([share_R, share_R[source]])
    absent_R = np.concatenate([rows.absent_R, rows.absent_R[source]])
    width = int(term_R.max(initial=0)) + 1
    keys, inverse = np.unique(disease_R * width + term_R, return_inverse=True)
    hits, total = np.bincount(inverse, hits_R), np.bincount(inverse, total_R)
    stated = ~np.isnan(share_R) & (total_R == 0)
    classes = np.bincount(inverse, stated, minlength=len(keys))
    class_sum = np.bincount(inverse, np.where(stated, share_R, 0), minlength=len(keys))
    share = np.where(classes > 0, class_sum / np.maximum(classes, 1), UNSTATED)
    share = np.where(total > 0, (hits + _PRIOR) / (total + 2 * _PRIOR), share)
    seen = np.bincount(inverse, ~absent_R, minlength=len(keys)) > 0
    keys, share = keys[seen], np.maximum(share[seen], _LEAST_SHARE).astype(np.float32)
    return keys // width, keys % width, share, merged


def _kin(keys: Sequence[Sequence[Any]]) -> sp.csr_matrix:
    """1 where two columns share a key; keys of more than a hundred columns say nothing."""
    of_key: dict[Any, list[int]] = defaultdict(list)
    for column, own in enumerate(keys):
        for key in own:
            of_key[key].append(column)
    found = sorted(
        {(a, b) for kin in of_key.values() if len(kin) <= _LARGEST_KIN for a in kin for b in kin if a != b}
    )
    a, b = zip(*found, strict=True) if found else ((), ())
    matrix = sp.csr_matrix((np.ones(len(found), np.float32), (a, b)), shape=(len(keys), len(keys)))
    matrix.sort_indices()
    return matrix
