"""Full-parameter tuning: every weight, or those that patterns name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field

from doyen_modeling.methods.part import MethodPart
from doyen_schemas import DoyenError


class Full(MethodPart):
    """Tune the weights themselves.

    Attributes:
        parameters: ``all``, or patterns of parameter names such as ``model.layers.2*``; the others stay frozen.
    """

    kind: Literal["full"] = "full"
    parameters: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"

    def attach(self, model: Any) -> Any:
        """Set which weights are trainable. Raises MOD-041 for a pattern that names none."""
        names = [name for name, _ in model.named_parameters()]
        if self.parameters != "all":
            for pattern in self.parameters:
                if not any(fnmatchcase(name, pattern) for name in names):
                    raise DoyenError(
                        "MOD-041",
                        f"method.parameters: {pattern!r} names no parameter of this {model.config.model_type} model.",
                        f"Its parameters are called like {names[-2]}.",
                    )
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.owns(name))
        model.doyen_method = self
        return model

    def owns(self, name: str) -> bool:
        """Whether a pattern names it."""
        return self.parameters == "all" or any(fnmatchcase(name, pattern) for pattern in self.parameters)

    def file_dtype(self) -> Literal["float16", "own"]:
        """Weights are written as they are: rounding them would change the model everywhere."""
        return "own"

    def merge(self, model: Any) -> Any:
        """The model: its weights are the result."""
        del model.doyen_method
        return model
