"""Hybrid search: BM25 and dense ranks joined by reciprocal rank fusion (Cormack et al. 2009)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from doyen_retrieval.index import Encode, Index, Passage, unit
from doyen_retrieval.words import content_words
from doyen_schemas import DoyenError

Rerank = Callable[[str, Sequence[Passage]], Sequence[float]]
"""Query and passages to one score each; higher is better."""

RRF_K: Final = 60
"""The constant of the paper."""
_DEPTH: Final = 100
"""Passages that each method puts into the fusion, and that a reranker sees."""


@dataclass(frozen=True)
class Hit:
    """A retrieved passage with its fused (or the reranker's) score and its rank from 1 by each method that found it."""

    passage: Passage
    score: float
    ranks: dict[str, int]


@dataclass(frozen=True)
class Result:
    """Hits, the best first; ``methods`` says what was used: ``bm25``, ``dense``, ``rerank``.

    No hit is the answer where nothing shares a word with the query and there are no vectors.
    """

    hits: tuple[Hit, ...]
    methods: tuple[str, ...]


def search(
    index: Index,
    query: str,
    top: int = 10,
    *,
    encode: Encode | None = None,
    among: Sequence[int] | None = None,
    rerank: Rerank | None = None,
) -> Result:
    """The ``top`` passages for a query.

    Args:
        encode: the encoder that the index was built with; None, or an index without vectors, means BM25 alone.
        among: positions that alone may be found.
        rerank: orders the fused candidates anew.

    Raises RET-005 for a query vector of another width than the index's and for a reranker without one finite score
    a passage.
    """
    depth = max(_DEPTH, top)
    allowed = None if among is None else np.unique(np.asarray(among, np.int64))
    orders: dict[str, list[int]] = {"bm25": _by_words(index, query, depth, allowed)}
    if encode is not None and index.vectors is not None:
        orders["dense"] = _by_vector(index, encode([query]), depth, allowed)
    scores: dict[int, float] = {}
    for order in orders.values():
        for rank, at in enumerate(order, start=1):
            scores[at] = scores.get(at, 0.0) + 1 / (RRF_K + rank)
    found = sorted(scores, key=lambda at: (-scores[at], at))
    methods = tuple(orders)
    if rerank is not None and found:
        methods += ("rerank",)
        judged = np.asarray(rerank(query, [index.passages[at] for at in found]), np.float64)
        if judged.shape != (len(found),) or not np.isfinite(judged).all():
            raise DoyenError(
                "RET-005", f"the reranker gave {judged.shape} scores for {len(found)} passages, or not finite ones.",
                "It must return one number for each passage.",
            )  # fmt: skip
        found = [found[i] for i in np.argsort(-judged, kind="stable")]
        scores = dict(zip(found, -np.sort(-judged, kind="stable"), strict=True))
    ranks = {name: {at: rank for rank, at in enumerate(order, start=1)} for name, order in orders.items()}
    return Result(
        tuple(
            Hit(index.passages[at], float(scores[at]), {n: r[at] for n, r in ranks.items() if at in r})
            for at in found[:top]
        ),
        methods,
    )


def _by_words(index: Index, query: str, depth: int, allowed: NDArray[np.int64] | None) -> list[int]:
    known = [word for word in dict.fromkeys(content_words(query)) if word in index.bm25.vocab_dict]
    if not known:
        return []
    score_N = index.bm25.get_scores(known)
    places = np.arange(len(score_N)) if allowed is None else allowed
    places = places[score_N[places] > 0]
    if len(places) > depth:
        # Ties with the last one kept stay in, so that the order does not depend on the partition.
        least = np.partition(score_N[places], -depth)[-depth]
        places = places[score_N[places] >= least]
    return [int(at) for at in places[np.argsort(-score_N[places], kind="stable")][:depth]]


def _by_vector(
    index: Index, vector: NDArray[np.float32], depth: int, allowed: NDArray[np.int64] | None
) -> list[int]:
    import faiss

    if vector.shape != (1, index.vectors.d):
        raise DoyenError(
            "RET-005", f"the query's vector has the shape {vector.shape}, the index holds vectors of {index.vectors.d}.",
            "Search with the encoder that built the index.",
        )  # fmt: skip
    options = None
    if allowed is not None:
        options = faiss.SearchParameters(sel=faiss.IDSelectorBatch(allowed))  # type: ignore[call-arg]  # by SWIG
    score_1K, at_1K = index.vectors.search(unit(vector), min(depth, index.vectors.ntotal), params=options)
    found = sorted((-score, at) for score, at in zip(score_1K[0], at_1K[0], strict=True) if at >= 0)
    return [int(at) for _, at in found]
