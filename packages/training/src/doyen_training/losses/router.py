"""Keep a mixture of experts routed: drift from the original routers, and even load.

Drift is KL(original router ‖ router) on the same hidden states: only the router's own weights count and are held, not
what changed below it. The balance term is the Switch Transformer's (Fedus et al. 2022, equation 4).

Shape suffixes: T tokens of the batch, E experts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor

# The most experts of all layers whose loads are events: more would drown the log.
LISTED: Final = 512


class RouterPart(LossBase):
    """``kind = "router"``: weigh the routers' drift and imbalance into the loss, and log them.

    Attributes:
        drift: factor of the drift in nats, averaged over layers and tokens.
        balance: factor of the balance loss, which is 1 at even load; 0.01 in the Switch Transformer.
    """

    kind: Literal["router"]
    drift: Annotated[float, Field(ge=0)] = 1.0
    balance: Annotated[float, Field(ge=0)] = 0.0

    def build(self, folder: Path) -> Term:  # noqa: ARG002
        """The term."""
        return RouterTerm(self.weight, self.drift, self.balance)


class RouterTerm(Term):
    """Drift and balance of every router, from hooks on the step's one forward pass.

    The hooks keep the last pass, so the Trainer computes this term before those that run passes of their own.
    """

    name = "router"
    hooked = True

    def __init__(self, weight: float = 1.0, drift: float = 1.0, balance: float = 0.0) -> None:
        super().__init__(weight)
        self.drift = drift
        self.balance = balance
        self._watch: Any = None
        self._loads: dict[int, Tensor] = {}
        self._sums = [0.0, 0.0, 0.0]  # drift, balance, batches

    def begin(self, start: Start) -> None:
        """Hook the routers; their weights now (below a ``router`` method: the base's) are the original. Raises MOD-050."""
        from doyen_modeling.moe.router import RouterWatch

        if self._watch is not None:
            self._watch.close()
        self._watch = RouterWatch(start.model)

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """Mean over layers and real tokens, weighed like the learned tokens of this batch."""
        import torch

        from doyen_modeling.moe.router import balance_loss, load_shares, router_drift

        mask_BT = forward.text_BT
        if mask_BT is None:
            mask_BT = forward.inputs.get(
                "attention_mask", torch.ones_like(forward.inputs["input_ids"])
            ).bool()
        keep_T = mask_BT.flatten()
        seen = self._watch.seen
        drift = torch.stack([router_drift(routing, keep_T) for routing in seen.values()]).mean()
        balance = torch.stack([balance_loss(routing, keep_T) for routing in seen.values()]).mean()
        for layer, routing in seen.items():
            load_E = load_shares(routing, keep_T) * keep_T.sum()
            self._loads[layer] = self._loads.get(layer, torch.zeros_like(load_E)) + load_E
        for place, value in enumerate((float(drift.detach()), float(balance.detach()), 1.0)):
            self._sums[place] += value
        return (self.drift * drift + self.balance * balance) * len(forward.labels_N) / count

    def loads(self) -> dict[int, list[float]]:
        """Each layer's share of choices by expert since the last ``metrics``: the histogram of a report."""
        return {layer: (load / load.sum().clamp_min(1)).tolist() for layer, load in self._loads.items()}

    def metrics(self) -> dict[str, float]:
        """``drift`` in nats, ``balance``, and the load's ``entropy``, ``max_over_mean`` and ``unused``.

        A small model's loads are listed too, as ``load/LAYER/EXPERT``.
        """
        from doyen_modeling.moe.router import load_metrics

        batches = self._sums[2]
        if not batches:
            return {}
        shares = {layer: load / load.sum().clamp_min(1) for layer, load in self._loads.items()}
        found = {"drift": self._sums[0] / batches, "balance": self._sums[1] / batches} | load_metrics(shares)
        if sum(map(len, shares.values())) <= LISTED:
            found |= {
                f"load/{layer}/{expert}": share
                for layer, row in self.loads().items()
                for expert, share in enumerate(row)
            }
        self._loads, self._sums = {}, [0.0, 0.0, 0.0]
        return found
