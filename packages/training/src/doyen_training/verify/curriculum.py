"""Curriculum: easy records first, against records in random order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps; difficulty is the loss of the model before training."""
    from doyen_training.curriculum import CurriculumPart, CurriculumSampler, base_losses
    from doyen_training.verify.bench import BATCH, STEPS

    task = bench.task(seed)
    hard = base_losses(bench.model(seed), task.train)
    arms = {}
    for arm, order in ((BASELINE, "shuffled"), (TECHNIQUE, "easy-first"), ("hard first", "hard-first")):
        # "shuffled" opens all rows at once, so that it is a plain random order.
        start = 1.0 if order == "shuffled" else 0.2
        part = CurriculumPart(difficulty="loss", order=order, start=start)
        sampler = CurriculumSampler(hard, part, epochs=STEPS * BATCH / len(hard), batch=BATCH, seed=seed)
        model = bench.model(seed)
        bench.train(model, task.train, seed=seed, sampler=sampler)
        arms[arm] = bench.accuracy(model, task.dev)
    return arms


TRIAL = Trial(
    name="curriculum",
    title="easy records first against random order",
    rows=(27,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
