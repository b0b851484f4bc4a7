"""Routers: a bounded delta on their weights, and what to watch while they are tuned.

Shape suffixes: T tokens, H width, E experts, K experts per token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doyen_modeling.moe.layers import routers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def add_router_deltas(model: Any, drift: float | None) -> None:
    """Add a zero delta to every router, each row bounded by ``drift`` of its own length. Raises MOD-050."""
    from torch.nn.utils import parametrize

    from doyen_modeling.moe.delta import RouterDelta

    for router in routers(model).values():
        parametrize.register_parametrization(router, "weight", RouterDelta(router.weight, drift))  # type: ignore[arg-type]


def fold_router_deltas(model: Any) -> None:
    """Replace the routers' weights by what the deltas make of them, bit for bit."""
    from doyen_modeling.moe.delta import fold

    for router in routers(model).values():
        fold(router, "weight")


@dataclass(frozen=True, slots=True)
class Routing:
    """What one router did in the last forward pass, and what it would have done as it was at the start.

    ``own_TE`` are its logits with gradients to its own weights only, ``original_TE`` those of the original weights.
    """

    logits_TE: Tensor
    own_TE: Tensor
    original_TE: Tensor
    index_TK: Tensor
    sigmoid: bool

    def probabilities(self, logits_TE: Tensor) -> Tensor:
        """Each token's distribution over experts: softmax, or DeepSeek-V3's normalised sigmoid."""
        if not self.sigmoid:
            return logits_TE.float().softmax(-1)
        scores_TE = logits_TE.float().sigmoid()
        return scores_TE / scores_TE.sum(-1, keepdim=True)


class RouterWatch:
    """Hooks on every router that keep what the last forward pass chose, with gradients."""

    def __init__(self, model: Any) -> None:
        """Remember the routers as they are now, or as they were before ``Router`` was attached. Raises MOD-050."""
        self.seen: dict[int, Routing] = {}
        self._handles = [
            router.register_forward_hook(_Keep(self.seen, layer, router))
            for layer, router in routers(model).items()
        ]

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()


class _Keep:
    def __init__(self, seen: dict[int, Routing], layer: int, router: Any) -> None:
        self.seen = seen
        self.layer = layer
        attached = hasattr(router, "parametrizations")
        start = router.parametrizations.weight.original if attached else router.weight
        self.weight_EH = start.detach() if attached else start.detach().clone()

    def __call__(self, router: Any, args: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        import torch

        hidden_TH = args[0].detach().reshape(-1, args[0].shape[-1])
        with torch.no_grad():
            original_TE = torch.nn.functional.linear(hidden_TH.float(), self.weight_EH.float())
        sigmoid = hasattr(router, "e_score_correction_bias")
        own_TE = torch.nn.functional.linear(hidden_TH.float(), router.weight.float())
        self.seen[self.layer] = Routing(output[0], own_TE, original_TE, output[2].detach(), sigmoid)


def router_drift(routing: Routing, keep_T: Tensor) -> Tensor:
    """Mean over the kept tokens of KL(original router ‖ router) on the same hidden states, in nats."""
    original_TE = routing.probabilities(routing.original_TE)[keep_T]
    now_TE = routing.probabilities(routing.own_TE)[keep_T]
    tiny = 1e-20
    return (original_TE * ((original_TE + tiny).log() - (now_TE + tiny).log())).sum(-1).mean()


def load_shares(routing: Routing, keep_T: Tensor) -> Tensor:
    """Share of the kept tokens' choices that went to each expert, (E,), summing to 1."""
    import torch

    experts = routing.logits_TE.shape[-1]
    counts_E = torch.bincount(routing.index_TK[keep_T].flatten(), minlength=experts).float()
    return counts_E / counts_E.sum().clamp_min(1)


def balance_loss(routing: Routing, keep_T: Tensor) -> Tensor:
    """E·Σ f·P of the Switch Transformer (Fedus et al. 2022, equation 4): 1 when load and probability are even."""
    shares_E = load_shares(routing, keep_T)
    mean_E = routing.probabilities(routing.logits_TE)[keep_T].mean(0)
    return len(shares_E) * (shares_E * mean_E).sum()


def load_metrics(shares: Mapping[int, Tensor]) -> dict[str, float]:
    """Figures of the load over all layers.

    ``entropy``: mean of each layer's load entropy over ln E, 1 when even; ``max_over_mean``: the busiest expert's
    load over the mean, the worst layer; ``unused``: share of experts without a token.
    """
    if not shares:
        return {}
    rows = [row.double() for row in shares.values()]
    entropy = [float(-(row * (row + 1e-20).log()).sum() / math.log(max(len(row), 2))) for row in rows]
    return {
        "entropy": sum(entropy) / len(entropy),
        "max_over_mean": max(float(row.max() * len(row)) for row in rows),
        "unused": sum(int((row == 0).sum()) for row in rows) / sum(len(row) for row in rows),
    }
