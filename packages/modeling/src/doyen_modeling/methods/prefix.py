"""Prefix tuning (Li & Liang 2021): learned keys and values in front of every layer's attention.

Not PEFT's: that one ignores position ids, so left padding changes its results, and with its zero start all virtual
tokens receive the same gradient and stay equal for ever. The keys and values here enter as a cache of the decoder,
which also ``generate`` and every caller of the inner decoder pass through.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from doyen_modeling.methods.part import MethodPart, freeze


class Prefix(MethodPart):
    """Prefix tuning.

    Attributes:
        tokens: virtual tokens; they take the positions 0 … tokens-1.
        init: ``vocabulary`` starts from the keys and values of random real tokens, so that the model starts out as
            the base with those tokens in front; ``random`` from small noise.
        seed: draws the start.
    """

    kind: Literal["prefix"] = "prefix"
    tokens: Annotated[int, Field(ge=1, le=1024)] = 16
    init: Literal["vocabulary", "random"] = "vocabulary"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 17

    mergeable: ClassVar[bool] = False
    # transformers drops the cache of a layer that is computed twice, and a packed row is not split with a cache.
    checkpointing: ClassVar[bool] = False
    packing: ClassVar[bool] = False

    def attach(self, model: Any) -> Any:
        """Add the prefix to ``model``'s decoder. In use it raises MOD-045 with checkpointing or packed rows."""
        from doyen_modeling.methods.virtual import add_prefix

        freeze(model)
        add_prefix(model, self.tokens, self.init, self.seed)
        model.doyen_method = self
        return model

    def owns(self, name: str) -> bool:
        """The keys and values."""
        return ".virtual_prefix." in name
