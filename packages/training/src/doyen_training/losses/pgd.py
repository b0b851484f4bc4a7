"""Adversarial training by projected gradient descent in the space of the embeddings.

Madry et al. 2018 (arXiv:1706.06083) on inputs that are embeddings, as in Miyato et al. 2017 (arXiv:1605.07725): the
disturbance is found by K steps of the sign of the gradient, and the loss under it is a term. Pixels lie in [0, 1] and
embeddings have the scale of their table, so ε is a share of the table's root mean square.

Shape suffixes: B rows, T tokens of a row, N learned positions, D width.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Term

if TYPE_CHECKING:
    from torch import Tensor


class PgdPart(LossBase):
    """``kind = "pgd"``: the cross-entropy under attack.

    Attributes:
        epsilon: the largest change of an entry of an embedding, as a share of the table's root mean square.
        steps: steps of the attack, each of a forward and a backward pass; one more pass gives the loss.
        step_size: a step's length as a share of epsilon.
    """

    kind: Literal["pgd"]
    epsilon: Annotated[float, Field(gt=0, le=10)] = 0.3
    steps: Annotated[int, Field(ge=1, le=100)] = 2
    step_size: Annotated[float, Field(gt=0, le=1)] = 0.6

    def build(self, folder: Path) -> Term:  # noqa: ARG002 (the signature is that of all parts)
        """The term."""
        return Pgd(self.weight, epsilon=self.epsilon, steps=self.steps, step_size=self.step_size)


class Pgd(Term):
    """Mean cross-entropy of the learned tokens when every embedding is changed for the worse, within bounds."""

    name = "pgd"

    def __init__(
        self, weight: float = 1.0, *, epsilon: float = 0.3, steps: int = 2, step_size: float = 0.6
    ) -> None:
        super().__init__(weight)
        self.epsilon = epsilon
        self.steps = steps
        self.step_size = step_size
        self._gain: list[float] = []

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The sum under attack over the N learned positions, divided by ``count``."""
        from torch.nn.functional import cross_entropy

        if not len(forward.labels_N):
            return forward.logits_NV.sum() * 0.0
        embeds_BTD, rms = embed(forward)
        delta_BTD = attack(forward, embeds_BTD.detach(), self.epsilon * rms, self.steps, self.step_size)
        logits_NV = logits_at(forward, embeds_BTD + delta_BTD)
        clean = cross_entropy(forward.logits_NV.detach(), forward.labels_N)
        total = cross_entropy(logits_NV, forward.labels_N, reduction="sum")
        self._gain.append(float(total.detach() / len(forward.labels_N) - clean))
        return total / count

    def metrics(self) -> dict[str, float]:
        """``gain``: how many nats the attack adds to the loss."""
        gain = sum(self._gain) / max(len(self._gain), 1)
        self._gain = []
        return {"gain": round(gain, 5)}


def embed(forward: Forward) -> tuple[Tensor, float]:
    """Embeddings (B, T, D) of the batch, and the root mean square of the model's table."""
    table: Any = getattr(forward.model, "module", forward.model).get_input_embeddings()
    rms = float(table.weight.detach().float().square().mean().sqrt())
    return table(forward.inputs["input_ids"]), rms


def attack(forward: Forward, embeds_BTD: Tensor, bound: float, steps: int, step_size: float) -> Tensor:
    """A disturbance (B, T, D) with ``|δ| ≤ bound`` that raises the loss; no parameter's gradient is touched.

    A step is ``step_size`` of the bound long.

    It starts from zero, so that it draws no random numbers and a resumed run equals one that never stopped.
    """
    import torch
    from torch.nn.functional import cross_entropy

    delta_BTD = torch.zeros_like(embeds_BTD)
    for _ in range(steps):
        delta_BTD.requires_grad_(True)
        loss = cross_entropy(logits_at(forward, embeds_BTD + delta_BTD), forward.labels_N, reduction="sum")
        (slope_BTD,) = torch.autograd.grad(loss, delta_BTD)
        delta_BTD = (delta_BTD.detach() + step_size * bound * slope_BTD.sign()).clamp(-bound, bound)
    return delta_BTD


def logits_at(forward: Forward, embeds_BTD: Tensor) -> Tensor:
    """Logits (N, V) at the learned positions for other embeddings."""
    from doyen_training.forward import score

    inputs = {key: value for key, value in forward.inputs.items() if key != "input_ids"}
    rows_N = forward.learned_BT.flatten().nonzero().squeeze(1)
    return score(forward.model, inputs | {"inputs_embeds": embeds_BTD}, rows_N)[2]
