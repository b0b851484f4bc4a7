"""Router tuning: only the weights that choose a token's experts, with a bound on how far they may drift."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from doyen_modeling.methods.part import MethodPart


class Router(MethodPart):
    """The routers' weights, and nothing else: DeepSeek-V3's ``e_score_correction_bias`` stays as it is.

    Attributes:
        drift: no expert's row moves by more than this share of its length, whatever the optimizer does, so no
            router logit of a token h by more than drift·‖w‖·‖h‖; ``none`` lifts the bound. The loss term ``router``
            bounds the choices themselves, softly.
    """

    kind: Literal["router"] = "router"
    drift: Annotated[float, Field(gt=0)] | Literal["none"] = 0.25

    def attach(self, model: Any) -> Any:
        """Add a zero delta to every router. Raises MOD-050."""
        from doyen_modeling.moe.router import add_router_deltas

        add_router_deltas(model, None if self.drift == "none" else self.drift)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.owns(name))
        model.doyen_method = self
        return model

    def owns(self, name: str) -> bool:
        """The routers' deltas."""
        return name.endswith(".gate.parametrizations.weight.0.delta")

    def file_dtype(self) -> Literal["float16", "own"]:
        """As they are: a router is small, and a choice of experts may hang on its last digits."""
        return "own"

    def merge(self, model: Any) -> Any:
        """The plain model with the tuned routers, bit for bit what the adapter computed."""
        from doyen_modeling.moe.router import fold_router_deltas

        fold_router_deltas(model)
        del model.doyen_method
        return model
