"""Weights between loss terms that are found while training: GradNorm and uncertainty.

``combine(losses, model)`` joins the terms of a pass; what a balance has learned goes into checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor

LIMITS = (1e-4, 1e4)  # of a weight, against a term whose gradient vanishes


class _BalanceBase(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixedPart(_BalanceBase):
    """``kind = "fixed"``: the weights of the recipe."""

    kind: Literal["fixed"] = "fixed"

    def build(self) -> None:
        """No balance: the Trainer adds the weighted terms."""


class GradNormPart(_BalanceBase):
    """``kind = "gradnorm"``.

    Attributes:
        alpha: how much faster a term that lags behind is trained; 0 only makes the gradients equally long.
        rate: the share of the way to the target that the weights go in a pass.
        shared: the parameter on which gradients are compared; the last trainable matrix unless named.
    """

    kind: Literal["gradnorm"]
    alpha: Annotated[float, Field(ge=0, le=5)] = 1.5
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    shared: str | None = None

    def build(self) -> GradNorm:
        """The balance."""
        return GradNorm(self.alpha, self.rate, self.shared)


class UncertaintyPart(_BalanceBase):
    """``kind = "uncertainty"``. ``rate`` is the share of the way to the target that the weights go in a pass."""

    kind: Literal["uncertainty"]
    rate: Annotated[float, Field(gt=0, le=1)] = 0.02

    def build(self) -> Uncertainty:
        """The balance."""
        return Uncertainty(self.rate)


BalancePart = Annotated[FixedPart | GradNormPart | UncertaintyPart, Field(discriminator="kind")]


class GradNorm:
    """GradNorm (Chen et al. 2018, arXiv:1711.02257).

    With ``G_i`` the length of term i's weighted gradient on the shared parameter and ``r_i`` its share of the first
    loss that is left, over the mean of all, the weights are drawn to ``G_i = mean(G) r_i^alpha``, and add up to the
    number of terms. ``G_i`` is proportional to the weight, so the minimum of the paper's objective is known in closed
    form, and the weights go ``rate`` of the way there (in logarithms) instead of a gradient step: a step's length
    would depend on the scale of the losses. The recipe's weights cancel out.
    """

    def __init__(self, alpha: float = 1.5, rate: float = 0.1, shared: str | None = None) -> None:
        self.alpha = alpha
        self.rate = rate
        self.shared = shared
        self.weights: dict[str, float] = {}
        self.first: dict[str, float] = {}

    def combine(self, losses: Mapping[str, Tensor], model: Any) -> Tensor:
        """The weighted sum; in training the weights are brought nearer to their targets first. Raises TRN-066."""
        import torch

        if not self.weights:
            self.weights = dict.fromkeys(losses, 1.0)
        if model.training and len(losses) > 1 and all(loss.requires_grad for loss in losses.values()):
            norms, values = self._measure(losses, self._parameter(model))
            if bool(torch.isfinite(norms + values).all()) and bool((norms > 0).all()):
                self._update(list(losses), norms.tolist(), values.tolist())
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()

    def metrics(self) -> dict[str, float]:
        """The weights, for the event log."""
        return {name: round(weight, 6) for name, weight in self.weights.items()}

    def state_dict(self) -> dict[str, Any]:
        """Weights, and the first losses."""
        return {"weights": dict(self.weights), "first": dict(self.first)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.weights, self.first = dict(state["weights"]), dict(state["first"])

    def _parameter(self, model: Any) -> Tensor:
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = [name for name, p in trainable.items() if p.ndim >= 2]
        name = self.shared or (matrices[-1] if matrices else "")
        if name not in trainable:
            raise DoyenError(
                "TRN-066",
                f"balance.shared = {name!r} is no trainable parameter of the model, so no gradient can be compared on it.",
                f"Name one such as {next(iter(matrices), 'that of an adapter')!r}, or leave balance.shared out.",
            )
        found: Tensor = trainable[name]
        return found

    def _measure(self, losses: Mapping[str, Tensor], parameter: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths of the unweighted gradients and the losses, the same on all processes."""
        import torch

        norms = []
        for name, loss in losses.items():
            (slope,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
            if slope is None:
                raise DoyenError(
                    "TRN-066",
                    f"the loss term {name} does not reach the parameter that gradients are compared on.",
                    "Name one in balance.shared that all terms depend on.",
                )
            norms.append(slope.detach().float().norm())
        measured = torch.stack(
            [torch.stack(norms), torch.stack([x.detach().float() for x in losses.values()])]
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(measured)
            measured = measured / torch.distributed.get_world_size()
        return measured[0], measured[1]

    def _update(self, names: list[str], norms: list[float], values: list[float]) -> None:
        for name, value in zip(names, values, strict=True):
            self.first.setdefault(name, max(value, 1e-12))
        left = [max(value, 1e-12) / self.first[name] for name, value in zip(names, values, strict=True)]
        mean_left = sum(left) / len(left)
        lengths = [self.weights[name] * norm for name, norm in zip(names, norms, strict=True)]
        mean_length = sum(lengths) / len(lengths)
        moved = {}
        for name, norm, share in zip(names, norms, left, strict=True):
            target = mean_length * (share / mean_left) ** self.alpha / norm
            target = min(max(target, LIMITS[0]), LIMITS[1])
            moved[name] = math.exp(
                (1 - self.rate) * math.log(self.weights[name]) + self.rate * math.log(target)
            )
        scale = len(names) / sum(moved.values())
        self.weights = {name: weight * scale for name, weight in moved.items()}


class Uncertainty:
    """Uncertainty weighting (Kendall et al. 2018, arXiv:1705.07115): ``sum of exp(-s_i) L_i + s_i / 2``.

    The minimum over ``s_i``, the logarithm of a term's variance, is ``log(2 L_i)``: there a term weighs
    ``1 / (2 L_i)``. The logarithms go ``rate`` of the way there in each pass, instead of a gradient step whose length
    would depend on the scale of the losses. ``s_i / 2`` does not depend on the model and is left out.

    A pass is a micro-batch: its loss is its share of the step's, and the weights move once a pass. So with gradient
    accumulation over k passes all weights tend to k times those of a batch k times as large, and get there sooner;
    their ratios tend to the same. Lower the learning rate or ``rate``, or use a larger batch.
    """

    def __init__(self, rate: float = 0.02) -> None:
        self.rate = rate
        self.logs: dict[str, float] = {}

    def combine(self, losses: Mapping[str, Tensor], model: Any) -> Tensor:
        """The weighted sum; in training the variances are learned first."""
        import torch

        values = torch.stack([loss.detach().float() for loss in losses.values()])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(values)
            values = values / torch.distributed.get_world_size()
        if model.training and bool(torch.isfinite(values).all()):
            for name, value in zip(losses, values.tolist(), strict=True):
                target = -math.log(min(max(1 / max(2 * value, 1e-12), LIMITS[0]), LIMITS[1]))
                log = self.logs.get(name, 0.0)
                self.logs[name] = log + self.rate * (target - log)
        return torch.stack(
            [math.exp(-self.logs.get(name, 0.0)) * loss for name, loss in losses.items()]
        ).sum()

    def metrics(self) -> dict[str, float]:
        """The weights, for the event log."""
        return {name: round(math.exp(-value), 6) for name, value in self.logs.items()}

    def state_dict(self) -> dict[str, Any]:
        """The logarithms of the variances."""
        return {"logs": dict(self.logs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.logs = dict(state["logs"])
