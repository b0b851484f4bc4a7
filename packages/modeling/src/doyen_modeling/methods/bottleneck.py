"""Bottleneck adapters (Houlsby et al. 2019): a small residual network behind attention and feed-forward.

The up-projection starts at zero, so an adapter that was never trained is the identity; opening them group by group
with ``[unfreezing]`` is staged activation.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from doyen_modeling.methods.part import MethodPart, freeze

SITES = {"attention": "self_attn", "feedforward": "mlp"}


class Bottleneck(MethodPart):
    """Bottleneck adapters: 2·d·rank + rank + d parameters a site in a model of width d.

    Attributes:
        rank: width of the bottleneck.
        sites: where in each layer; ``feedforward`` alone is the variant of Pfeiffer et al. (2021).
        seed: draws the down-projections.
    """

    kind: Literal["bottleneck"] = "bottleneck"
    rank: Annotated[int, Field(ge=1, le=4096)] = 16
    sites: Annotated[tuple[Literal["attention", "feedforward"], ...], Field(min_length=1)] = (
        "attention",
        "feedforward",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 17

    mergeable: ClassVar[bool] = False

    def attach(self, model: Any) -> Any:
        """Add an adapter at every site of every layer. Raises MOD-040 when a layer has no such site."""
        from doyen_modeling.methods.residual import add_bottlenecks

        freeze(model)
        add_bottlenecks(model, self.rank, [SITES[site] for site in self.sites], self.seed)
        model.doyen_method = self
        return model

    def owns(self, name: str) -> bool:
        """The projections and their biases."""
        return ".bottleneck." in name
