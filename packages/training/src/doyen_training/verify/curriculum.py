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
    for arm, part in (
        (BASELINE, CurriculumPart(difficulty="loss", order="shuffled", start=1.0)),  # all rows open at once
        (TECHNIQUE, CurriculumPart(difficulty="loss", order="easy-first", start=0.2)),
        ("hard first", CurriculumPart(difficulty="loss", order="hard-first", start=0.2)),
    ):
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
