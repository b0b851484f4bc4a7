"""Warm-up and cosine against a constant rate, both clipped at a global norm of 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doyen_training.verify.rates import tuned
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import accuracy, full

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench, Task


def constant(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """The rate stays where it is from the first step to the last."""
    model = bench.model(seed)
    settings = {"lr_scheduler_type": "constant", "warmup_steps": 0}
    bench.train(model, task.train, seed=seed, learning_rate=rate, settings=settings)
    return model


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Loss on held-out records after the same steps, each with its own best peak rate."""
    held = bench.task(seed).dev_examples
    return {
        BASELINE: bench.nll(tuned(bench, "constant rate", constant, seed), held),
        TECHNIQUE: bench.nll(tuned(bench, "full", full, seed), held),
        "accuracy, constant": accuracy(bench, "constant rate", constant, seed),
        "accuracy, cosine": accuracy(bench, "full", full, seed),
    }


TRIAL = Trial(
    name="schedule",
    title="warm-up and cosine against a constant learning rate",
    rows=(30,),
    metric="held-out loss, nats",
    higher_is_better=False,
    run=run,
    arms={"constant rate": constant},
)
