"""Factuality penalty: what is marked as false in an answer becomes less likely.

The penalty is the unlikelihood of Welleck et al. 2020 (arXiv:1908.04319), there against repetition, here on the tokens
of false stretches: ``-log(1 - p)``. Which these are is the record's to say, or figures that the question does not hold
(``falsehood``). The same tokens are no labels, so no other term learns them.

Shape suffixes: F false tokens of the batch, N learned positions, V vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from doyen_schemas import DoyenError
from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor


class FactualityPart(LossBase):
    """``kind = "factuality"``: penalise the false stretches of the training records.

    Attributes:
        figures: numbers in an answer that no question before it holds are false too. For answers that quote, not for
            those that reckon.
    """

    kind: Literal["factuality"]
    figures: bool = False

    def build(self, folder: Path) -> Term:  # noqa: ARG002 (the signature is that of all parts)
        """The term."""
        return Factuality(self.weight)


class Factuality(Term):
    """Summed unlikelihood of the false tokens, in nats, by the learned tokens of the step."""

    name = "factuality"
    falsehoods = True

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        self._seen = [0.0, 0]  # probability given to false tokens, tokens

    def begin(self, start: Start) -> None:
        """Raises TRN-024 when no training record has a false token: the term would do nothing."""
        if not any(example.false for example in start.examples):
            raise DoyenError(
                "TRN-024",
                f"a [[loss]] of kind factuality, but none of the {len(start.examples)} training records has a false "
                "stretch in a learned turn.",
                'Mark stretches with "false": [[from, to]], set figures = true, or leave the table out.',
            )

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The sum over the F false tokens divided by ``count``; zero in a batch without any."""
        import torch

        assert forward.false_FV is not None, "the collator knows the terms"
        assert forward.false_F is not None
        if not len(forward.false_F):
            return forward.logits_NV.sum() * 0.0
        penalty_F = unlikelihood(forward.false_FV, forward.false_F)
        self._seen[0] += float(-torch.expm1(-penalty_F.detach()).sum())
        self._seen[1] += len(penalty_F)
        return penalty_F.sum() / count

    def metrics(self) -> dict[str, float]:
        """``probability``: the mean probability of the false tokens; ``tokens``: how many there were."""
        total, tokens = self._seen
        self._seen = [0.0, 0]
        return {"probability": total / tokens, "tokens": tokens} if tokens else {}


def unlikelihood(logits_FV: Tensor, tokens_F: Tensor) -> Tensor:
    """``-log(1 - p)`` (F,) of each token, in nats.

    Computed as the log of all tokens' mass over that of the others: ``1 - p`` itself would be zero where p is near one.
    """
    import torch

    others_FV = logits_FV.scatter(1, tokens_F[:, None], -torch.inf)
    return logits_FV.logsumexp(-1) - others_FV.logsumexp(-1)
