"""Cross-entropy on the learned tokens: plain supervised fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Term

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropyPart(LossBase):
    """``kind = "cross-entropy"``."""

    kind: Literal["cross-entropy"]

    def build(self, folder: Path) -> Term:  # noqa: ARG002 (the signature is that of all parts)
        """The term."""
        return CrossEntropy(self.weight)


class CrossEntropy(Term):
    """Mean negative log-likelihood of the learned tokens, in nats."""

    name = "cross_entropy"

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """Sum over the N learned positions divided by ``count``."""
        from doyen_training.losses.nll import summed_nll

        return summed_nll(forward.logits_NV, forward.labels_N) / count
