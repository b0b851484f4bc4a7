"""The parametrisations behind the two methods: a delta on selected experts, a bounded delta on a router.

Shape suffixes: E experts, S selected experts, M rows and N columns of an expert's matrix, H width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class ExpertDelta(nn.Module):
    """Adds a float32 delta to the selected experts of a fused parameter; the others pass bit for bit."""

    selected_S: Tensor

    def __init__(self, weight_EMN: Tensor, selected: Sequence[int]) -> None:
        super().__init__()
        index_S = torch.tensor(sorted(selected), device=weight_EMN.device)
        self.register_buffer("selected_S", index_S, persistent=False)
        shape = (len(selected), *weight_EMN.shape[1:])
        self.delta = nn.Parameter(torch.zeros(shape, dtype=torch.float32, device=weight_EMN.device))

    def forward(self, weight_EMN: Tensor) -> Tensor:
        """The effective weights: a copy, so a training step holds each layer's fused weights twice."""
        tuned_SMN = weight_EMN[self.selected_S].float() + self.delta
        return weight_EMN.index_copy(0, self.selected_S, tuned_SMN.to(weight_EMN.dtype))


class RouterDelta(nn.Module):
    """Adds a float32 delta to a router; each expert's row moves by at most ``drift`` of its own length."""

    def __init__(self, weight_EH: Tensor, drift: float | None) -> None:
        super().__init__()
        self.drift = drift
        self.delta = nn.Parameter(torch.zeros(weight_EH.shape, dtype=torch.float32, device=weight_EH.device))

    def forward(self, weight_EH: Tensor) -> Tensor:
        """The effective router weights."""
        delta_EH = self.delta
        if self.drift is not None:
            limit_E1 = self.drift * weight_EH.float().norm(dim=1, keepdim=True)
            length_E1 = delta_EH.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
            delta_EH = delta_EH * (limit_E1 / length_E1).clamp(max=1.0)
        return (weight_EH.float() + delta_EH).to(weight_EH.dtype)


def fold(module: nn.Module, name: str) -> None:
    """Replace a parametrised tensor by its value, bit for bit.

    torch gives every deep copy of a parametrised module the class of the first and removes the property from that
    class: the module gets a class of its own before, so that copies keep theirs.
    """
    shared = type(module)
    module.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))
    parametrize.remove_parametrizations(module, name, leave_parametrized=True)


class OncePerForward:
    """Forward hooks that compute a module's parametrised weights once a call; eager experts read them E times."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    def enter(self, *_: Any) -> None:
        """Before the module's forward."""
        cached = parametrize.cached()
        cached.__enter__()
        self._open.append(cached)

    def leave(self, *_: Any) -> None:
        """After it, also when it failed."""
        self._open.pop().__exit__(None, None, None)
