"""Warm-up and cosine against a constant rate, both clipped at a global norm of 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Loss on held-out records after the same steps with the same peak rate."""
    task = bench.task(seed)
    arms = {}
    for arm, settings in (
        (BASELINE, {"lr_scheduler_type": "constant", "warmup_steps": 0}),
        (TECHNIQUE, {"lr_scheduler_type": "cosine"}),
    ):
        model = bench.model(seed)
        bench.train(model, task.train, seed=seed, settings=settings)
        arms[arm] = bench.nll(model, task.dev_examples)
    return arms


TRIAL = Trial(
    name="schedule",
    title="warm-up and cosine against a constant learning rate",
    rows=(30,),
    metric="held-out loss, nats",
    higher_is_better=False,
    run=run,
)
