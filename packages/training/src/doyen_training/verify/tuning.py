"""What the trials of tuning methods share: a method on the usual task, against tuning every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from doyen_training.verify.rates import tuned
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Arm

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart
    from doyen_training.verify.bench import Bench, Task


def full(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """All parameters: the baseline of many trials."""
    model = bench.model(seed)
    bench.train(model, task.train, seed=seed, learning_rate=rate)
    return model


def with_method(method: Callable[[int], MethodPart]) -> Arm:
    """The arm of a tuning method; ``method`` takes the seed of what it draws."""

    def arm(bench: Bench, task: Task, seed: int, rate: float) -> Any:
        from doyen_modeling.methods import attach

        part = method(seed)
        batches = list(bench.batches(task.train[:64], 16)) if getattr(part, "scored", False) else None
        model = attach(bench.model(seed), part, batches)
        bench.train(model, task.train, seed=seed, learning_rate=rate)
        return model

    return arm


def accuracy(bench: Bench, name: str, arm: Arm, seed: int) -> float:
    """The accuracy of ``tuned``, measured once."""
    return bench.once(
        ("accuracy", name, seed),
        lambda: bench.accuracy(tuned(bench, name, arm, seed), bench.task(seed).dev),
    )


def share(bench: Bench, model: Any) -> float:
    """The share of the parameters that is trained."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trained / bench.prepared["parameters"]


def against_full(name: str, arm: Arm) -> Callable[[Bench, int], Mapping[str, float]]:
    """A trial's run: an arm against full tuning with the same records, steps and order."""

    def run(bench: Bench, seed: int) -> Mapping[str, float]:
        return {
            BASELINE: accuracy(bench, "full", full, seed),
            TECHNIQUE: accuracy(bench, name, arm, seed),
            "not tuned": bench.once(
                ("untuned", seed), lambda: bench.accuracy(bench.model(seed), bench.task(seed).dev)
            ),
            "share of the parameters": share(bench, tuned(bench, name, arm, seed)),
        }

    return run
