"""Exact loss masks: learn the answer alone, or every token of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps over the same records; only the labels differ."""
    task = bench.task(seed)
    everything = [replace(example, labels=list(example.input_ids)) for example in task.train]
    model = bench.model(seed)
    bench.train(model, everything, seed=seed)
    return {
        BASELINE: bench.accuracy(model, task.dev),
        TECHNIQUE: bench.accuracy(bench.plain(seed), task.dev),
    }


TRIAL = Trial(
    name="masks",
    title="loss on the answer alone against loss on all tokens",
    rows=(17,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
