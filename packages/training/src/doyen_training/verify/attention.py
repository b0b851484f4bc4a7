"""Distillation in two stages, maps of attention before logits, against logits from the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.distillation import LABELLED, TEMPERATURE, distilled, half, student, teacher
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import accuracy

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench, Task

SWITCH: Final = 48  # of the bench's steps


def staged(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """Maps of attention for ``SWITCH`` steps, then logits, beside the labels throughout."""
    from doyen_training.losses.attention import Attention
    from doyen_training.losses.cross_entropy import CrossEntropy

    model = half(bench, seed)
    term = Attention(teacher(bench, task.split), bench.tokenizer, 0.5, SWITCH, TEMPERATURE)
    terms = [CrossEntropy(0.5), term]
    bench.train(model, task.train[:LABELLED], terms, seed=seed, learning_rate=rate)
    return model


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy of the student after the same steps over the same few records."""
    return {
        BASELINE: accuracy(bench, "distilled", distilled, seed),
        TECHNIQUE: accuracy(bench, "attention", staged, seed),
        "labels alone": accuracy(bench, "student", student, seed),
    }


TRIAL = Trial(
    name="attention",
    title=f"maps of attention for {SWITCH} steps, then logits, against logits throughout; a student of half the layers",
    rows=(22,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
