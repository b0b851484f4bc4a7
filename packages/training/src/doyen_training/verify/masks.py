"""Exact loss masks: learn the answer alone, or every token of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import accuracy, full

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench, Task


def all_tokens(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """Every token of the record is learned."""
    everything = [replace(example, labels=list(example.input_ids)) for example in task.train]
    model = bench.model(seed)
    bench.train(model, everything, seed=seed, learning_rate=rate)
    return model


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps over the same records; only the labels differ."""
    return {
        BASELINE: accuracy(bench, "all tokens", all_tokens, seed),
        TECHNIQUE: accuracy(bench, "full", full, seed),
    }


TRIAL = Trial(
    name="masks",
    title="loss on the answer alone against loss on all tokens",
    rows=(17,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
    arms={"all tokens": all_tokens},
)
