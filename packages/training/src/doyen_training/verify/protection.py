"""Protection against a teacher's errors: conflict projection, gate and weights, against plain distillation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.distillation import LABELLED, taught, teacher
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_data import Record
    from doyen_training.verify.bench import Bench

GATE: Final = 2.0  # nats that the teacher may give the right answer before it is not listened to


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy with a teacher that was taught wrong types for half of the classes, and with an honest one."""
    records = bench.records("train", 10**6, 0)
    wrong = teacher(bench, planted(records, bench.classes))
    honest = teacher(bench, records)
    task = bench.task(seed, train=LABELLED)
    protected: dict[str, Any] = {"projection": True, "gate": GATE, "bounds": (0.1, 2.0)}
    return {
        BASELINE: taught(bench, seed, task.train, wrong),
        TECHNIQUE: taught(bench, seed, task.train, wrong, **protected),
        "honest teacher, plain": taught(bench, seed, task.train, honest),
        "honest teacher, protected": taught(bench, seed, task.train, honest, **protected),
        "labels alone": taught(bench, seed, task.train, None),
    }


def planted(records: Sequence[Record], classes: Sequence[str]) -> list[Record]:
    """The same records with the first half of the classes handed round: each gets the next one's name."""
    part = classes[: len(classes) // 2]
    moved = dict(zip(part, [*part[1:], part[0]], strict=True))
    changed = []
    for record in records:
        *before, answer = record.messages
        name = moved.get(answer.content, answer.content)
        last = answer.model_copy(update={"content": name})
        changed.append(record.model_copy(update={"messages": (*before, last)}))
    return changed


TRIAL = Trial(
    name="protection",
    title="protected against plain distillation from a teacher wrong on half of the classes",
    rows=(20, 21),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
