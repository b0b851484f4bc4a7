"""The modules of bottleneck adapters. B rows, T tokens, D width, R bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from doyen_schemas import DoyenError


class Residual(nn.Module):
    """``x + up(gelu(down(x)))`` on (B, T, D), computed in the adapter's own type."""

    def __init__(self, width: int, rank: int, generator: torch.Generator, like: Tensor) -> None:
        super().__init__()
        kind: dict[str, Any] = {"device": like.device, "dtype": torch.float32}
        self.down = nn.Linear(width, rank, **kind)
        self.up = nn.Linear(rank, width, **kind)
        with torch.no_grad():
            # 1e-2 as in the article; drawn on the CPU, so that every device gets the same start.
            self.down.weight.copy_(torch.randn(rank, width, generator=generator) * 1e-2)
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                zero.zero_()

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Add the adapter's part."""
        inner_BTR = nn.functional.gelu(self.down(x_BTD.to(self.down.weight.dtype)))
        return x_BTD + self.up(inner_BTR).to(x_BTD.dtype)


def add_bottlenecks(model: Any, rank: int, sites: Sequence[str], seed: int) -> None:
    """Hang a ``Residual`` behind the named children of every decoder layer. Raises MOD-040."""
    generator = torch.Generator().manual_seed(seed)
    like = model.get_input_embeddings().weight
    for number, layer in enumerate(model.base_model.layers):
        for site in sites:
            module = getattr(layer, site, None)
            if module is None:
                raise DoyenError(
                    "MOD-040",
                    f"layer {number} of this {model.config.model_type} model has no {site} to put an adapter behind.",
                    "Choose other method.sites, or tune with lora.",
                )
            module.bottleneck = Residual(model.config.hidden_size, rank, generator, like)
            module.register_forward_hook(_through)


def _through(module: Any, _: Any, output: Any) -> Any:
    # Attention gives (states, weights), a feed-forward block the states. The adapter is looked up in the module
    # and not captured, so that a deep copy of the model uses its own.
    if isinstance(output, tuple):
        return (module.bottleneck(output[0]), *output[1:])
    return module.bottleneck(output)
