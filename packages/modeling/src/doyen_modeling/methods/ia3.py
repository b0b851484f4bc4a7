"""IA³ (Liu et al. 2022): one learned factor for each key, value and feed-forward channel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from doyen_modeling.methods.peft import PeftMethod, wrap

Names = Annotated[tuple[str, ...], Field(min_length=1)]


class IA3(PeftMethod):
    """IA³. ``feedforward`` are those of ``targets`` whose input is scaled; without both, PEFT's map is used."""

    kind: Literal["ia3"] = "ia3"
    targets: Names | None = None
    feedforward: Names | None = None

    @model_validator(mode="after")
    def _together(self) -> IA3:
        if (self.targets is None) != (self.feedforward is None):
            raise ValueError("give targets and feedforward together, or neither")
        if self.targets and not set(self.feedforward or ()) <= set(self.targets):
            raise ValueError("feedforward must be a part of targets")
        return self

    def attach(self, model: Any) -> Any:
        """Wrap ``model`` in PEFT's IA³. Raises MOD-040 when the targets fit no layer or PEFT has no map."""
        from peft import IA3Config

        config = IA3Config(
            target_modules=list(self.targets) if self.targets else None,
            feedforward_modules=list(self.feedforward) if self.feedforward else None,
            task_type="CAUSAL_LM",
        )
        return wrap(model, config, self, self.targets)

    def file_dtype(self) -> Literal["float16", "own"]:
        """Factors lie around 1, where half precision has only three digits."""
        return "own"
