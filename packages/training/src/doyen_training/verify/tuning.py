"""What the trials of tuning methods share: one run of a method on the usual task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart
    from doyen_training.verify.bench import Bench

STEPS: Final = 120  # few parameters learn slowly: after the bench's 40 steps most methods are still at chance


def tuned(bench: Bench, seed: int, method: MethodPart, learning_rate: float) -> tuple[float, float]:
    """Accuracy after tuning with ``method``, and the share of the parameters that it trains."""
    return bench.once(
        ("tuned", seed, method.model_dump_json(), learning_rate),
        lambda: _tuned(bench, seed, method, learning_rate),
    )


def against_full(
    method: Callable[[], MethodPart], learning_rate: float
) -> Callable[[Bench, int], Mapping[str, float]]:
    """A trial's run: ``method`` against full tuning with the same records, steps and order."""

    def run(bench: Bench, seed: int) -> Mapping[str, float]:
        accuracy, share = tuned(bench, seed, method(), learning_rate)
        return {
            BASELINE: bench.accuracy(bench.plain(seed, STEPS), bench.task(seed).dev),
            TECHNIQUE: accuracy,
            "not tuned": bench.once(
                ("untuned", seed), lambda: bench.accuracy(bench.model(seed), bench.task(seed).dev)
            ),
            "share of the parameters": share,
        }

    return run


def _tuned(bench: Bench, seed: int, method: MethodPart, learning_rate: float) -> tuple[float, float]:
    from doyen_modeling.methods import attach

    task = bench.task(seed)
    model: Any = bench.model(seed)
    total = sum(parameter.numel() for parameter in model.parameters())
    batches = list(bench.batches(task.train[:64], 16)) if getattr(method, "scored", False) else None
    model = attach(model, method, batches)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    bench.train(model, task.train, steps=STEPS, seed=seed, learning_rate=learning_rate)
    return bench.accuracy(model, task.dev), trained / total
