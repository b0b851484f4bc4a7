"""On-policy distillation against more steps on the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.distillation import LABELLED, half, student, teacher
from doyen_training.verify.rates import rate_of
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Arm, Trial
from doyen_training.verify.tuning import accuracy

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench, Task

MORE: Final = 40  # steps, after the bench's on labels
LOWER: Final = 0.1  # of the learning rate: the student is tuned already


def more_labels(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """More steps on the same labels."""
    model = _begun(bench, task, seed)
    few = task.train[:LABELLED]
    bench.train(model, few, steps=MORE, seed=seed + 1, learning_rate=LOWER * rate)
    return model


def on_policy(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """The teacher corrects what the student answers to the prompts of all records, whose labels are not used."""
    from doyen_training.losses.on_policy import OnPolicy

    model = _begun(bench, task, seed)
    term = OnPolicy(teacher(bench, task.split), bench.tokenizer, beta=0.0, answer_tokens=8)
    bench.train(model, task.train, [term], steps=MORE, seed=seed + 1, learning_rate=LOWER * rate)
    return model


def _begun(bench: Bench, task: Task, seed: int) -> Any:
    """A copy of the student of labels alone; a model that a trainer had would share its replaced forward."""
    begun = bench.once(
        ("begun", task.split, seed), lambda: student(bench, task, seed, rate_of("student")).state_dict()
    )
    model = half(bench, seed)
    model.load_state_dict(begun)
    return model


ARMS: Final[dict[str, Arm]] = {"more labels": more_labels, "on-policy": on_policy}


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps."""
    return {
        BASELINE: accuracy(bench, "more labels", more_labels, seed),
        TECHNIQUE: accuracy(bench, "on-policy", on_policy, seed),
        "before": accuracy(bench, "student", student, seed),
        "teacher": bench.accuracy(teacher(bench, "train"), bench.task(seed).dev),
    }


TRIAL = Trial(
    name="on-policy",
    title=f"{MORE} steps of corrections, by a teacher that learned all labels, of own answers to 512 prompts, against "
    f"{MORE} more on {LABELLED} labels",
    rows=(19,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
