"""Selected experts as a sparse full-rank delta on the fused parameters (ESFT, Wang et al. 2024).

Masking gradients would not freeze the other experts: AdamW's weight decay moves them all the same. Here they are no
parameters at all. Weight decay pulls the delta to zero, that is, to the base.

Shape suffixes: E experts, M rows and N columns of an expert's matrix.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from doyen_modeling.moe.delta import ExpertDelta, OncePerForward, fold
from doyen_modeling.moe.layers import FUSED, expert_count, expert_modules
from doyen_modeling.moe.select import Selection
from doyen_schemas import DoyenError


def add_deltas(model: Any, selection: Selection) -> None:
    """Add a zero delta for every selected expert. Raises MOD-050, and MOD-054 for a selection that does not fit."""
    modules = expert_modules(model)
    check_selection(selection, modules)
    for layer, selected in selection.items():
        if selected:
            _add(modules[layer], selected)


def fold_deltas(model: Any) -> None:
    """Replace the fused parameters by what the deltas make of them, bit for bit, and remove the deltas."""
    for module in expert_modules(model).values():
        for fused in FUSED:
            if parametrize.is_parametrized(module, fused):
                fold(module, fused)
        for handle in module.__dict__.pop("doyen_handles", ()):
            handle.remove()


def check_selection(selection: Selection, modules: dict[int, nn.Module]) -> None:
    """Raises MOD-054 unless every layer and expert exists, none stands twice, and there is at least one."""
    for layer, selected in selection.items():
        if layer not in modules:
            raise DoyenError(
                "MOD-054",
                f"the selection names layer {layer}; the layers with experts are {min(modules)} to {max(modules)}.",
                "Score and select on the model that is tuned.",
            )
        count = expert_count(modules[layer])
        wrong = [expert for expert in selected if not 0 <= expert < count]
        if wrong or len(set(selected)) != len(selected):
            raise DoyenError(
                "MOD-054",
                f"the selection of layer {layer} names expert {wrong[0]}; its experts are 0 to {count - 1}."
                if wrong
                else f"the selection of layer {layer} names an expert twice.",
                "Score and select on the model that is tuned.",
            )
    if not any(selection.values()):
        raise DoyenError("MOD-054", "the selection names no expert.", "Raise the threshold.")


def _add(module: nn.Module, selected: tuple[int, ...]) -> None:
    for fused in FUSED:
        weight_EMN = getattr(module, fused)
        parametrize.register_parametrization(module, fused, ExpertDelta(weight_EMN, selected))
    once = OncePerForward()
    module.__dict__["doyen_handles"] = [
        module.register_forward_pre_hook(once.enter),
        module.register_forward_hook(once.leave, always_call=True),
    ]
