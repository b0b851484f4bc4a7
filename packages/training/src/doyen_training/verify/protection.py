"""Protection against a teacher's errors: conflict projection, gate and weights, against plain distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.distillation import LABELLED, distilled, follow, student, teacher
from doyen_training.verify.rates import rate_of
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import accuracy

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

GATE: Final = 2.0  # nats that the teacher may give the right answer before it is not listened to
PROTECTED: Final[Mapping[str, Any]] = {"projection": True, "gate": GATE, "bounds": (0.1, 2.0)}


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy with a teacher that was taught wrong types for half of the classes, and with an honest one."""
    task = bench.task(seed)
    wrong, honest = teacher(bench, "train", planted=True), teacher(bench, "train")

    def taught(tutor: Any, **options: Any) -> float:
        model = follow(bench, task.train[:LABELLED], tutor, seed, rate_of("distilled"), **options)
        return bench.accuracy(model, task.dev)

    return {
        BASELINE: taught(wrong),
        TECHNIQUE: taught(wrong, **PROTECTED),
        "honest teacher, plain": accuracy(bench, "distilled", distilled, seed),
        "honest teacher, protected": taught(honest, **PROTECTED),
        "labels alone": accuracy(bench, "student", student, seed),
        "wrong teacher itself": bench.accuracy(wrong, task.dev),
    }


TRIAL = Trial(
    name="protection",
    title="protected against plain distillation from a teacher wrong on half of the classes",
    rows=(20, 21),
    metric="accuracy",
    higher_is_better=True,
    run=run,
    also=(("honest teacher, plain", "honest teacher, protected"), ("labels alone", TECHNIQUE)),
)
