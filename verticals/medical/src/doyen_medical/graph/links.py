"""Link prediction on the medical graph: how well an embedding tells a held-out fact from a made-up one.

Only OMIM rows, without what follows from other facts (``gene_phenotype``, rows lent by Orphanet): either would give
held-out facts away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_graph import store
from doyen_graph.evaluation import figures, filtered_ranks
from doyen_graph.models import DecoderName, EncoderName, Model
from doyen_graph.training import Plan, train
from doyen_graph.triples import Triples, split
from doyen_medical.graph.build import facts
from doyen_medical.knowledge.purge import held_out
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank.library import build

MODELS: Final[dict[str, tuple[EncoderName, DecoderName]]] = {
    "distmult": ("none", "distmult"),
    "rotate": ("none", "rotate"),
    "gcn": ("gcn", "distmult"),
    "rgcn": ("rgcn", "distmult"),
}


def compare(
    knowledge: Knowledge, plan: Plan, *, seeds: Sequence[int] = (0,), test: int = 1000,
    models: Sequence[str] = tuple(MODELS), keep: Path | None = None, say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """MRR and Hits@1/3/10 of each model by seed, over all held-out facts and those of each relation.

    ``popularity`` is the floor: other ends by how often they stand at that end of the relation. Models are kept below
    ``keep``, and those that an earlier call with the same plan left there are not trained again. Raises GRA-002 (kept
    embeddings that are damaged, or of other facts).
    """
    library = build(knowledge, knowledge.annotations.without_papers(held_out), orphanet=False)
    candidates = library.candidate_D[library.disease_R]
    library = replace(
        library,
        disease_R=library.disease_R[candidates],
        term_R=library.term_R[candidates],
        share_R=library.share_R[candidates],
    )
    known, asked = split(facts(library, derived=False), test, seed=0)
    found: dict[str, Any] = {
        "entities": len(known.entities), "train": len(known), "test": len(asked), "seeds": list(seeds),
        "plan": {key: value for key, value in vars(plan).items() if key not in ("encoder", "decoder", "seed")},
        "split_seed": 0, "knowledge_version": knowledge.version,
        "popularity": _by_relation(popularity_ranks(known, asked), asked),
    }  # fmt: skip
    for name in models:
        encoder, decoder = MODELS[name]
        found[name] = []
        for seed in seeds:
            own = replace(plan, encoder=encoder, decoder=decoder, seed=seed)
            model = _model(known, own, keep / f"{name}-{seed}" if keep else None)
            found[name].append(_by_relation(filtered_ranks(model, asked, [known]), asked))
            say(f"{name}, seed {seed}: MRR {found[name][-1]['all']['mrr']}")
    return found


def _model(known: Triples, plan: Plan, folder: Path | None) -> Model:
    if folder is not None and folder.is_dir():
        kept, made = store.load(folder, known)
        if made == plan:
            return kept
    model = train(known, plan)
    if folder is not None:
        store.save(model, known, plan, folder)
    return model


def popularity_ranks(known: Triples, asked: Triples) -> np.ndarray:
    """Filtered ranks, from 1, (2, B), of a score that knows only how often an entity stands at an end."""
    ranks = np.zeros((2, len(asked)))
    true = {reverse: _ends([known, asked], reverse=reverse) for reverse in (False, True)}
    for row, reverse in enumerate((False, True)):
        given, other = ("tail_E", "head_E") if reverse else ("head_E", "tail_E")
        count = {
            r: np.bincount(
                getattr(known, other)[known.relation_E == r], minlength=len(known.entities)
            ).astype(float)
            for r in range(len(known.relations))
        }
        for at in range(len(asked)):
            r, own = int(asked.relation_E[at]), int(getattr(asked, other)[at])
            score = count[r].copy()
            value = score[own]
            score[true[reverse][int(getattr(asked, given)[at]), r]] = -1
            ranks[row, at] = 1 + (score > value).sum() + (score == value).sum() / 2
    return ranks


def _ends(parts: Sequence[Triples], *, reverse: bool) -> dict[tuple[int, int], list[int]]:
    ends: dict[tuple[int, int], list[int]] = {}
    for part in parts:
        given, other = (part.tail_E, part.head_E) if reverse else (part.head_E, part.tail_E)
        for g, r, o in zip(given.tolist(), part.relation_E.tolist(), other.tolist(), strict=True):
            ends.setdefault((g, r), []).append(o)
    return ends


def _by_relation(ranks: np.ndarray, asked: Triples) -> dict[str, dict[str, float]]:
    """Rounded figures of all facts and of each relation's."""
    parts = {"all": np.ones(len(asked), bool)} | {
        name: asked.relation_E == number for number, name in enumerate(asked.relations)
    }
    return {
        name: {"n": int(rows.sum())}
        | {key: round(value, 4) for key, value in figures(ranks[:, rows]).items()}
        for name, rows in parts.items()
        if rows.any()
    }
