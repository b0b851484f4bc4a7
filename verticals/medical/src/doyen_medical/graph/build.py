"""The heterogeneous graph of a library: findings, diseases and genes.

The library is already without the rows of held-out papers, so the graph is too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from doyen_graph.triples import Triples
from doyen_medical.rank.library import Library

RELATIONS: Final = ("is_a", "has_phenotype", "gene_of", "gene_phenotype", "same_as")


def facts(library: Library, *, derived: bool) -> Triples:
    """Findings first (in order of their numbers), then the library's columns, then genes by symbol.

    ``is_a`` finding to finding; ``has_phenotype`` disease to finding, weighted by the share of patients; ``gene_of``
    gene to disease; ``same_as`` OMIM to ORPHA, as far as the library joined them. ``gene_phenotype`` follows from
    two of these and is added only if ``derived``: in link prediction it would give held-out facts away.
    """
    ontology = library.knowledge.ontology
    terms = np.flatnonzero(ontology.phenotypic)
    place_T = np.full(len(ontology.ids), -1)
    place_T[terms] = np.arange(len(terms))
    genes_D = [library.knowledge.genes.get(code, ()) for code in library.codes]
    genes = sorted({gene for own in genes_D for gene in own})
    first_gene = len(terms) + len(library.codes)
    gene_number = {gene: first_gene + at for at, gene in enumerate(genes)}

    is_a = place_T[ontology.is_a_E2]
    is_a = is_a[(is_a >= 0).all(1)]
    found_R = place_T[library.term_R]
    parts = [
        (0, is_a[:, 0], is_a[:, 1], np.ones(len(is_a))),
        (1, len(terms) + library.disease_R, found_R, library.share_R),
        _part(2, ((gene_number[gene], len(terms) + at) for at, own in enumerate(genes_D) for gene in own)),
    ]
    if derived:
        gene_R = [(gene_number[gene], at) for at, d in enumerate(library.disease_R) for gene in genes_D[d]]
        rows = np.array(gene_R, np.int64).reshape(-1, 2)
        key = rows[:, 0] * len(terms) + found_R[rows[:, 1]]
        pairs, inverse = np.unique(key, return_inverse=True)
        share = np.zeros(len(pairs), np.float32)
        np.maximum.at(share, inverse, library.share_R[rows[:, 1]])
        parts.append((3, pairs // len(terms), pairs % len(terms), share))
    same = (
        (len(terms) + library.number[omim], len(terms) + library.number[orpha])
        for omim, orphas in sorted(library.same.items())
        for orpha in orphas
        if omim in library.number and orpha in library.number
    )
    parts.append(_part(4, same))
    return Triples(
        entities=(
            *(ontology.ids[term] for term in terms),
            *library.codes,
            *(f"GENE:{gene}" for gene in genes),
        ),
        relations=RELATIONS,
        head_E=np.concatenate([head for _, head, _, _ in parts]).astype(np.int64),
        relation_E=np.concatenate([np.full(len(head), number) for number, head, _, _ in parts]).astype(
            np.int64
        ),
        tail_E=np.concatenate([tail for _, _, tail, _ in parts]).astype(np.int64),
        weight_E=np.concatenate([weight for _, _, _, weight in parts]).astype(np.float32),
    )


def _part(relation: int, pairs: Iterator[tuple[int, int]]) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    found = np.array(list(pairs), np.int64).reshape(-1, 2)
    return relation, found[:, 0], found[:, 1], np.ones(len(found))
