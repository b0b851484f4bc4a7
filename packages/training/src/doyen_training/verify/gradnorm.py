"""GradNorm and uncertainty weights against fixed ones, where one loss has a hundred times the scale of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from doyen_training.losses.term import Forward, Term
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from torch import Tensor

    from doyen_training.verify.bench import Bench

SCALE: Final = 100.0
TEXTS: Final = 128
STEPS: Final = 120  # a quarter of each batch is text, and the small loss begins from behind


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


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy on the clauses after the same steps over both."""
    from doyen_training.losses.balance import GradNorm, Uncertainty

    task = bench.task(seed)
    both = [*task.train[:384], *bench.running_text("train", TEXTS)]
    balances: list[tuple[str, Any]] = [
        (BASELINE, None),
        (TECHNIQUE, GradNorm()),
        ("uncertainty", Uncertainty()),
    ]
    arms = {}
    for arm, balance in balances:
        model = bench.model(seed)
        count = len(both) - TEXTS
        bench.train(model, both, [Clauses(count), Text(count)], steps=STEPS, seed=seed, balance=balance)
        arms[arm] = bench.accuracy(model, task.dev)
    return arms


TRIAL = Trial(
    name="gradnorm",
    title="GradNorm against fixed weights, the other task's loss scaled by 100",
    rows=(26,),
    metric="accuracy on the smaller loss",
    higher_is_better=True,
    run=run,
)
