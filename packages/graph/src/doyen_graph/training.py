"""Train embeddings to tell facts from corrupted ones, full batch.

Every step encodes the whole graph; torch-geometric's neighbour loaders need compiled extras that PyPI lacks.

Shape legend: B facts of a step, K corrupted ends, N entities, H embedding size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from doyen_graph.models import DecoderName, EncoderName, Model
from doyen_graph.triples import Ints, Triples


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes:
        steps, batch: facts are drawn with replacement, ``batch`` a step.
        negatives: corrupted ends of each fact; half are drawn from the entities that stand at that end of its relation,
            half from all.
    """

    encoder: EncoderName = "none"
    decoder: DecoderName = "distmult"
    size: int = 64
    steps: int = 300
    batch: int = 4096
    negatives: int = 32
    learning_rate: float = 0.01
    weight_decay: float = 1e-6
    seed: int = 0


def train(triples: Triples, plan: Plan, say: Callable[[int, float], None] | None = None) -> Model:
    """A model of the facts; the same plan gives the same bits on the same machine.

    The loss is the cross entropy of the true end among corrupted ones (those that make no other fact), heads and tails in
    turn. An encoder passes messages along the very facts that it is trained on.
    """
    model = Model(plan.encoder, plan.decoder, triples, plan.size, plan.seed)
    rng = np.random.default_rng(plan.seed)
    entities, near = len(triples.entities), plan.negatives // 2

    def key(relation: Ints, head: Ints, tail: Ints) -> Ints:
        return (relation * entities + head) * entities + tail

    facts = np.unique(key(triples.relation_E, triples.head_E, triples.tail_E))
    ends = {
        reverse: [np.unique(end_E[triples.relation_E == r]) for r in range(len(triples.relations))]
        for reverse, end_E in ((False, triples.tail_E), (True, triples.head_E))
    }
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=plan.steps)
    for step in range(plan.steps):
        at = rng.integers(len(triples), size=plan.batch)
        reverse = bool(step % 2)
        given, asked = (triples.tail_E, triples.head_E) if reverse else (triples.head_E, triples.tail_E)
        relation_B = triples.relation_E[at]
        wrong_BK = rng.integers(entities, size=(plan.batch, plan.negatives))
        for r in np.unique(relation_B):
            rows = np.flatnonzero(relation_B == r)[:, None]
            wrong_BK[rows, np.arange(near)] = rng.choice(ends[reverse][r], (len(rows), near))
        candidates = torch.from_numpy(np.concatenate([asked[at][:, None], wrong_BK], 1))
        x_NH = model.encoder()
        projected_BH = model.decoder.project(
            x_NH[torch.from_numpy(given[at])], torch.from_numpy(relation_B), reverse=reverse
        )
        score_BK = model.decoder.match(projected_BH, x_NH[candidates])
        # A drawn end that makes another fact is no corruption.
        wide_BK = np.broadcast_to(given[at][:, None], wrong_BK.shape)
        pair = (wrong_BK, wide_BK) if reverse else (wide_BK, wrong_BK)
        true_BK = torch.from_numpy(np.isin(key(relation_B[:, None], *pair), facts))
        score_BK[:, 1:] = score_BK[:, 1:].masked_fill(true_BK, -1e9)
        truth = torch.zeros(plan.batch, dtype=torch.long)
        loss = torch.nn.functional.cross_entropy(score_BK, truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if say:
            say(step, float(loss.detach()))
    return model.eval()
