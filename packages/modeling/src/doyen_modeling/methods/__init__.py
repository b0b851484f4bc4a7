"""Parameter-efficient tuning: one small file a method, one way to attach, save, load and merge them all.

```python notest
model = attach(base.model, Lora(rank=16))
...
save_adapter(model, folder, base.ref)
model = load_adapter(load_base(DEFAULT_BASE), folder)   # MOD-011 on another base
merged = merge(model)
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from doyen_modeling.methods.bottleneck import Bottleneck
from doyen_modeling.methods.experts import Experts
from doyen_modeling.methods.full import Full
from doyen_modeling.methods.ia3 import IA3
from doyen_modeling.methods.lora import Lora
from doyen_modeling.methods.masked import Masked, activation_report
from doyen_modeling.methods.part import Batches, MethodPart
from doyen_modeling.methods.peft import merge_peft
from doyen_modeling.methods.prefix import Prefix
from doyen_modeling.methods.prompt import Prompt
from doyen_modeling.methods.qlora import QLora
from doyen_modeling.methods.router import Router
from doyen_modeling.methods.store import (
    CONFIG,
    WEIGHTS,
    adapter_base,
    load_adapter,
    method_of,
    save_adapter,
)

if TYPE_CHECKING:
    from torch import Tensor

Method = Annotated[
    Lora | QLora | Prefix | Prompt | Bottleneck | IA3 | Full | Masked | Experts | Router,
    Field(discriminator="kind"),
]

__all__ = [
    "CONFIG", "IA3", "WEIGHTS", "Batches", "Bottleneck", "Experts", "Full", "Lora", "Masked", "Method", "MethodPart", "Prefix",
    "Prompt", "QLora", "Router", "activation_report", "adapter_base", "attach", "bare", "load_adapter", "load_state", "merge",
    "method_of", "save_adapter", "state",
]  # fmt: skip


def attach(model: Any, method: MethodPart, batches: Batches | None = None) -> Any:
    """``model`` with the trainable parameters of ``method``; everything else is frozen.

    ``batches`` (``input_ids``, ``labels``, optionally ``attention_mask``) are looked at where ``method.scored``. The
    result is the model itself or a PEFT model around it. Raises MOD-040 to MOD-042, MOD-046 and MOD-047 when there is
    a method on it already.
    """
    if (there := method_of(model)) is not None or hasattr(model, "get_base_model"):
        from doyen_schemas import DoyenError

        raise DoyenError(
            "MOD-047",
            f"the model already carries {f'a {there.kind}' if there else 'an'} adapter, "  # type: ignore[attr-defined]
            f"a second one was asked for ({method.kind}).",  # type: ignore[attr-defined]
            "Merge the first one, or load the base anew.",
        )
    return method.attach(model, batches) if isinstance(method, Masked | Experts) else method.attach(model)


def bare(model: Any) -> Any:
    """The transformers model inside ``model``, with the method's hooks: its ``base_model`` is the decoder."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def state(model: Any) -> dict[str, Tensor]:
    """The tensors of the attached method in full precision, also those that are frozen now: for checkpoints."""
    method = method_of(model)
    if method is not None:
        return method.tensors(model)
    return Lora().tensors(model)  # a PEFT model that was loaded from an adapter


def load_state(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Take back what ``state`` gave, exactly. Raises MOD-012."""
    method = method_of(model)
    (method or Lora()).load(model, tensors)


def merge(model: Any) -> Any:
    """The plain model with the adapter folded into its weights: logits differ by at most 1e-5 in float32.

    Raises MOD-043 for a method that no weight can hold, MOD-044 for a base in less than float32.
    """
    method = method_of(model)
    return merge_peft(model) if method is None else method.merge(model)
