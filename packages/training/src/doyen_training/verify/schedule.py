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
    constant = bench.model(seed)
    settings = {"lr_scheduler_type": "constant", "warmup_steps": 0}
    bench.train(constant, task.train, seed=seed, settings=settings)
    return {
        BASELINE: bench.nll(constant, task.dev_examples),
        TECHNIQUE: bench.nll(bench.plain(seed), task.dev_examples),
    }


TRIAL = Trial(
    name="schedule",
    title="warm-up and cosine against a constant learning rate",
    rows=(30,),
    metric="held-out loss, nats",
    higher_is_better=False,
    run=run,
)
