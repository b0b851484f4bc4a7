"""Where the experts and routers of a transformers model stand, whatever its architecture.

transformers 5 keeps a layer's experts in two fused parameters, ``gate_up_proj`` (E, 2I, H) and ``down_proj``
(E, H, I), of a module ``…layers.L.….experts``; the router is its sibling ``gate``. Qwen2-MoE, Qwen3-MoE, DeepSeek-V2,
DeepSeek-V3 and Mixtral share this layout.

Shape suffixes: E experts, I width of an expert, H width of the model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch.nn import Module

FUSED: Final = ("gate_up_proj", "down_proj")
_EXPERTS: Final = re.compile(r"(?:^|\.)layers\.(\d+)\.(?:[\w.]+\.)?experts$")


def expert_modules(model: Module) -> dict[int, Module]:
    """The fused experts by layer number, in order. Raises MOD-050 when the model has none."""
    found = {
        int(match[1]): module
        for name, module in model.named_modules()
        if (match := _EXPERTS.search(name))
        and all(getattr(getattr(module, fused, None), "ndim", 0) == 3 for fused in FUSED)
    }
    if not found:
        raise DoyenError(
            "MOD-050",
            f"{type(model).__name__} has no mixture-of-experts layer with fused experts (gate_up_proj, down_proj).",
            "Choose a mixture-of-experts base, or make one: doyen moe upcycle --help.",
        )
    return dict(sorted(found.items()))


def routers(model: Module) -> dict[int, Module]:
    """The routers by layer number, in order: each a module with ``weight`` (E, H). Raises MOD-050."""
    names = {id(module): name for name, module in model.named_modules()}
    return {
        layer: model.get_submodule(f"{names[id(module)].rpartition('.')[0]}.gate")
        for layer, module in expert_modules(model).items()
    }


def expert_count(module: Module) -> int:
    """E of a fused experts module."""
    return int(module.down_proj.shape[0])  # type: ignore[index]
