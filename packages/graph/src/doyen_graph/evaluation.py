"""Link prediction: filtered ranks, mean reciprocal rank and hits (Bordes et al. 2013).

Shape legend: B questions, N entities, H embedding size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from doyen_graph.models import Model
from doyen_graph.triples import Triples

_HITS: Final = (1, 3, 10)
_CHUNK: Final = 16


@torch.no_grad()
def filtered_ranks(model: Model, test: Triples, known: Sequence[Triples]) -> NDArray[np.float64]:
    """Rank, from 1, of the true tail and of the true head of every test fact among all entities, (2, B).

    Other ends that make a fact of ``known`` or ``test`` are left out. Equal scores share the mean of their places, so
    that a model which says the same of everything has no advantage (Sun et al. 2020).
    """
    true_ends: dict[tuple[bool, int, int], list[int]] = defaultdict(list)
    for facts in (*known, test):
        for h, r, t in zip(facts.head_E, facts.relation_E, facts.tail_E, strict=True):
            true_ends[False, int(h), int(r)].append(int(t))
            true_ends[True, int(t), int(r)].append(int(h))
    x_NH = model.encoder()
    ranks = np.zeros((2, len(test)))
    for reverse in (False, True):
        given, asked = (test.tail_E, test.head_E) if reverse else (test.head_E, test.tail_E)
        for start in range(0, len(test), _CHUNK):
            part = slice(start, start + _CHUNK)
            relation_B = torch.from_numpy(test.relation_E[part])
            projected = model.decoder.project(
                x_NH[torch.from_numpy(given[part])], relation_B, reverse=reverse
            )
            score_BN = model.decoder.match(projected, x_NH).numpy()
            for b, score_N in enumerate(score_BN):
                at = start + b
                own = score_N[asked[at]]
                score_N[true_ends[reverse, int(given[at]), int(test.relation_E[at])]] = -np.inf
                above, level = (score_N > own).sum(), (score_N == own).sum()
                ranks[int(reverse), at] = 1 + above + level / 2
    return ranks


def figures(ranks: NDArray[np.float64]) -> dict[str, float]:
    """Mean reciprocal rank (``mrr``) and share of ranks up to 1, 3 and 10 (``hits1`` …) of all ranks."""
    if not ranks.size:
        return {}
    return {"mrr": float((1 / ranks).mean())} | {f"hits{k}": float((ranks <= k).mean()) for k in _HITS}
