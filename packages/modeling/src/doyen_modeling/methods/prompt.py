"""Prompt tuning (Lester et al. 2021): learned embeddings in front of the input."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from doyen_modeling.methods.part import MethodPart, freeze


class Prompt(MethodPart):
    """Prompt tuning. The decoder's output leaves the virtual tokens out, so callers see the input's length.

    Attributes:
        tokens: virtual tokens; they take the positions 0 … tokens-1.
        init: ``vocabulary`` starts from the embeddings of random real tokens, ``random`` from noise of their size.
        seed: draws the start.
    """

    kind: Literal["prompt"] = "prompt"
    tokens: Annotated[int, Field(ge=1, le=1024)] = 16
    init: Literal["vocabulary", "random"] = "vocabulary"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 17

    mergeable: ClassVar[bool] = False
    # One prompt stands in front of a row; the second sample of a packed row would have none.
    packing: ClassVar[bool] = False

    def attach(self, model: Any) -> Any:
        """Add the prompt to ``model``'s decoder. In use it raises MOD-045 on packed rows."""
        from doyen_modeling.methods.virtual import add_prompt

        freeze(model)
        add_prompt(model, self.tokens, self.init, self.seed)
        model.doyen_method = self
        return model

    def owns(self, name: str) -> bool:
        """The embeddings."""
        return ".virtual_prompt." in name
