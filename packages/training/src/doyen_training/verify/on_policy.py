"""On-policy distillation against more steps on the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from doyen_training.verify.distillation import LABELLED, half, teacher
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

FIRST: Final = 32  # steps on labels before the arms part
MORE: Final = 24
RATE: Final = 5e-4


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps; on-policy the prompts are those of more records, whose labels are not used."""
    from doyen_training.losses.on_policy import OnPolicy
    from doyen_training.verify.bench import BATCH

    task = bench.task(seed, train=LABELLED)
    tutor = teacher(bench, bench.records("train", 10**6, 0))
    labels = half(bench, seed)
    bench.train(labels, task.train, steps=FIRST, seed=seed)
    student, before = half(bench, seed), bench.accuracy(labels, task.dev)
    student.load_state_dict(labels.state_dict())
    bench.train(labels, task.train, steps=MORE, seed=seed + 1, learning_rate=RATE)
    term = OnPolicy(tutor, bench.tokenizer, beta=0.0, answer_tokens=8)
    prompts = bench.examples(bench.records("train", MORE * BATCH, seed))
    bench.train(student, prompts, [term], steps=MORE, seed=seed + 1, learning_rate=RATE)
    return {
        BASELINE: bench.accuracy(labels, task.dev),
        TECHNIQUE: bench.accuracy(student, task.dev),
        "before": before,
        "teacher": bench.accuracy(tutor, task.dev),
    }


TRIAL = Trial(
    name="on-policy",
    title=f"{MORE} steps of a teacher's corrections of own answers against {MORE} more on {LABELLED} labels",
    rows=(19,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
