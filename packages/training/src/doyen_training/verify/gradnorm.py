"""GradNorm and uncertainty weights against fixed ones, where one loss has a hundred times the scale of the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from doyen_training.losses.term import Forward, Term
from doyen_training.verify.rates import tuned
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Arm, Trial
from doyen_training.verify.tuning import accuracy

if TYPE_CHECKING:
    from torch import Tensor

    from doyen_training.verify.bench import Bench, Task

SCALE: Final = 100.0
TEXTS: Final = 128
STEPS: Final = 80
CLAUSES: Final = 384  # with the texts, as many rows as in other trials


class OfTask(Term):
    """Cross-entropy of the samples of one task. Shape suffixes: N learned positions, S samples, V vocabulary."""

    own: ClassVar[int]
    scale: ClassVar[float] = 1.0

    def __init__(self, clauses: int) -> None:
        super().__init__()
        self.clauses = clauses

    def sample_columns(self, index: int) -> Mapping[str, Tensor]:
        """0 for a clause, 1 for running text."""
        import torch

        return {f"{self.name}/task": torch.tensor(int(index >= self.clauses))}

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:  # noqa: ARG002 (a mean of its own)
        """The mean over the task's own tokens, times the scale."""
        from torch.nn.functional import cross_entropy

        own_N = (forward.extra[f"{self.name}/task"] == self.own)[forward.sample_N]
        nll_N = cross_entropy(forward.logits_NV, forward.labels_N, reduction="none")
        return self.scale * (nll_N * own_N).sum() / own_N.sum().clamp(min=1)


class Clauses(OfTask):
    """The clause types."""

    name = "clauses"
    own = 0


class Text(OfTask):
    """Running text, in a unit that makes its loss a hundred times as large."""

    name = "text"
    own = 1
    scale = SCALE


def _balanced(make: Callable[[], Any]) -> Arm:
    def arm(bench: Bench, task: Task, seed: int, rate: float) -> Any:
        clauses = task.train[:CLAUSES]
        both = [*clauses, *bench.running_text("train", TEXTS)]
        terms = [Clauses(len(clauses)), Text(len(clauses))]
        model = bench.model(seed)
        bench.train(model, both, terms, steps=STEPS, seed=seed, learning_rate=rate, balance=make())
        return model

    return arm


def _gradnorm() -> Any:
    from doyen_training.losses.balance import GradNorm

    return GradNorm()


def _uncertainty() -> Any:
    from doyen_training.losses.balance import Uncertainty

    return Uncertainty()


ARMS: Final[dict[str, Arm]] = {
    "fixed weights": _balanced(lambda: None),
    "gradnorm": _balanced(_gradnorm),
    "uncertainty": _balanced(_uncertainty),
}
TEXT: Final = "loss on running text, "


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy on the clauses after the same steps over both; beside it the other task's loss."""
    text = bench.running_text("dev", 64)
    found = {name: accuracy(bench, name, arm, seed) for name, arm in ARMS.items()}
    return {
        BASELINE: found["fixed weights"],
        TECHNIQUE: found["gradnorm"],
        "uncertainty": found["uncertainty"],
    } | {TEXT + name: bench.nll(tuned(bench, name, arm, seed), text) for name, arm in ARMS.items()}


TRIAL = Trial(
    name="gradnorm",
    title="GradNorm against fixed weights, the other task's loss scaled by 100",
    rows=(26,),
    metric="accuracy on the smaller loss",
    higher_is_better=True,
    run=run,
    also=((BASELINE, "uncertainty"),),
)
