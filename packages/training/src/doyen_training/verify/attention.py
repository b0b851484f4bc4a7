"""Distillation in two stages, maps of attention before logits, against logits from the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from doyen_training.verify.distillation import LABELLED, half, taught, teacher
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

SWITCH: Final = 16  # of the bench's steps


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy of the student after the same steps over the same few records."""
    from doyen_training.losses.attention import Attention
    from doyen_training.losses.cross_entropy import CrossEntropy

    task = bench.task(seed, train=LABELLED)
    tutor = teacher(bench, bench.records("train", 10**6, 0))
    arms = {}
    for arm, switch in ((BASELINE, 0), (TECHNIQUE, SWITCH)):
        student = half(bench, seed)
        term = Attention(tutor, bench.tokenizer, 0.5, switch)
        bench.train(student, task.train, [CrossEntropy(0.5), term], seed=seed)
        arms[arm] = bench.accuracy(student, task.dev)
    return arms | {
        "labels alone": bench.once(("labels", seed), lambda: taught(bench, seed, task.train, None)),
        "teacher": bench.accuracy(tutor, task.dev),
    }


TRIAL = Trial(
    name="attention",
    title=f"maps of attention for {SWITCH} steps, then logits, against logits throughout; a student of half the layers",
    rows=(22,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
