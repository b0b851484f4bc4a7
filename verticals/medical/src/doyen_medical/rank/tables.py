"""Sparse building blocks of the scores.

Shape legend: T terms, D diseases (columns), Q terms of a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from doyen_medical.knowledge.ontology import PHENOTYPE, Ontology

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_KEPT: Final = 600
_STEPS: Final = 0xFFFF


def ancestor_matrix(ontology: Ontology) -> sp.csr_matrix:
    """1 where the column is an ancestor of the row's finding, itself included, within Phenotypic abnormality, (T, T)."""
    size = len(ontology.ids)
    matrix = sp.csr_matrix(
        (np.ones(len(ontology.ancestor_A), np.float32), ontology.ancestor_A, ontology.ancestor_starts),
        shape=(size, size),
    )
    inside = sp.diags(ontology.phenotypic.astype(np.float32))
    matrix = (inside @ matrix @ inside).tocsr()
    matrix.eliminate_zeros()
    return matrix


def highest(ancestors: sp.csr_matrix, column: Ints, term: Ints, value: Floats, columns: int) -> sp.csr_matrix:
    """The highest ``value`` (a share in [0, 1]) at or below each term, for each column: (T, D)."""
    size = ancestors.shape[0]
    counts = np.diff(ancestors.indptr)[term]
    starts = np.repeat(ancestors.indptr[term] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    above = ancestors.indices[starts + np.arange(counts.sum())].astype(np.int64)
    # One sort of whole numbers is many times faster than a lexsort; 16 bits of a share are enough.
    packed = (above * columns + np.repeat(column, counts)) << 16
    packed += np.repeat(np.round(value * _STEPS).astype(np.int64), counts)
    packed.sort()
    last = np.ones(len(packed), bool)
    last[:-1] = (packed[1:] >> 16) != (packed[:-1] >> 16)
    packed = packed[last]
    key, values = packed >> 16, (packed & _STEPS) / _STEPS
    starts_T = np.searchsorted(key, np.arange(size + 1) * columns)
    return sp.csr_matrix((values.astype(np.float32), key % columns, starts_T), shape=(size, columns))


def rows_of(sets: Sequence[Sequence[int]], size: int) -> sp.csr_matrix:
    """Sets of numbers as rows of ones, (len(sets), size)."""
    flat = np.array([item for items in sets for item in items], np.int64)
    starts = np.cumsum([0, *map(len, sets)])
    return sp.csr_matrix((np.ones(len(flat), np.float32), flat, starts), shape=(len(sets), size))


def unit_rows(matrix: Any) -> sp.csr_matrix:
    """Rows scaled to length one; empty rows stay empty."""
    matrix = sp.csr_matrix(matrix)
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)).ravel())
    return sp.csr_matrix(sp.diags(1 / np.where(length > 0, length, 1)) @ matrix).astype(np.float32)


def information(share: NDArray[Any], ontology: Ontology, least: float) -> Floats:
    """Information content, -log of a term's share of diseases or patients; 0 for Phenotypic abnormality (Resnik 1995)."""
    content = -np.log(np.clip(share, least, 1.0))
    content[ontology.number[PHENOTYPE]] = 0
    return np.asarray(content, np.float32)


class BestAncestor:
    """For a term the best value that each column has at one of the term's ancestors, itself included; else ``floor``."""

    def __init__(self, values_TD: sp.csr_matrix, ancestors: sp.csr_matrix, floor: float) -> None:
        self._values, self._ancestors, self._floor = values_TD, ancestors, floor
        self._kept: dict[int, Floats] = {}

    def __call__(self, terms: Sequence[int]) -> Floats:
        """(Q, D)."""
        return np.stack([self._one(term) for term in terms])

    def _one(self, term: int) -> Floats:
        found = self._kept.get(term)
        if found is None:
            found = np.full(self._values.shape[1], self._floor, np.float32)
            for a in self._ancestors.indices[self._ancestors.indptr[term] : self._ancestors.indptr[term + 1]]:
                part = slice(self._values.indptr[a], self._values.indptr[a + 1])
                at = self._values.indices[part]
                found[at] = np.maximum(found[at], self._values.data[part])
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[term] = found
        return found
