"""Expert-specialised tuning (ESFT, Wang et al. 2024): only the experts that a domain's tokens go to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from doyen_modeling.methods.part import Batches, MethodPart
from doyen_modeling.moe.scores import Kind, Pooling
from doyen_modeling.moe.select import load_selection, select_experts

_EXPERTS: Final = re.compile(r"\.experts\.")
_SHARED: Final = re.compile(r"\.shared_experts?\.")


class Experts(MethodPart):
    """The selected experts, and nothing else unless it is asked for.

    Attributes:
        experts: layer → expert ids, or the file of ``doyen moe select --out``; without it the experts are selected
            by their scores on batches of the training data.
        score, threshold, pooling, batches: how they are selected then; 0.2 is the paper's threshold for token scores.
        shared_experts, non_expert_modules: tune these too, as ESFT's configuration has it. With the latter the
            routers, attention, norms and embeddings are trained as well.
    """

    kind: Literal["experts"] = "experts"
    experts: dict[int, tuple[int, ...]] | str | None = None
    score: Kind = "token"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.2
    pooling: Pooling = "tokens"
    batches: Annotated[int, Field(ge=1)] = 32
    shared_experts: bool = False
    non_expert_modules: bool = False

    scored: ClassVar[bool] = True

    def resolve(self, folder: Path) -> Experts:
        """The same with the selection read from its file, relative to ``folder``. Raises MOD-051 and MOD-054."""
        if not isinstance(self.experts, str):
            return self
        return self.model_copy(update={"experts": load_selection(folder / self.experts)})

    def attach(self, model: Any, batches: Batches | None = None) -> Any:
        """Add a zero delta for every selected expert. Raises MOD-050, and MOD-054 for a selection that does not fit."""
        from doyen_modeling.moe.experts import add_deltas
        from doyen_modeling.moe.scores import score_batches

        method = self.resolve(Path())
        if method.experts is None:
            scores = score_batches(model, batches or (), pooling=self.pooling)
            chosen = select_experts(scores, self.score, self.threshold)
            method = method.model_copy(update={"experts": chosen})
        assert isinstance(method.experts, dict)
        add_deltas(model, method.experts)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(method.owns(name))
        model.doyen_method = method
        return model

    def owns(self, name: str) -> bool:
        """The deltas; shared experts and everything else where they are tuned too."""
        if _EXPERTS.search(name):
            return name.endswith(".delta")
        return self.shared_experts if _SHARED.search(name) else self.non_expert_modules

    def file_dtype(self) -> Literal["float16", "own"]:
        """As they are: what is loaded equals what was trained."""
        return "own"

    def merge(self, model: Any) -> Any:
        """The plain model with the tuned experts in place, bit for bit what the adapter computed."""
        from doyen_modeling.moe.experts import fold_deltas

        fold_deltas(model)
        del model.doyen_method
        return model
