"""What the methods that PEFT implements have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doyen_modeling.methods.part import MethodPart
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor


class PeftMethod(MethodPart):
    """A method whose parameters, saving and merging are PEFT's."""

    def owns(self, name: str) -> bool:
        """Parameters that PEFT adds carry the adapter's name."""
        return name.endswith(".default") or ".default." in name

    def tensors(self, model: Any) -> dict[str, Tensor]:
        """PEFT's own names, without the adapter's."""
        from peft import get_peft_model_state_dict

        return {name: tensor.detach() for name, tensor in get_peft_model_state_dict(model).items()}

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> None:
        """Take back what ``tensors`` gave. Raises MOD-012 unless the names are the model's."""
        from peft import set_peft_model_state_dict

        wrong = sorted(self.tensors(model).keys() ^ tensors.keys())
        if wrong:
            raise DoyenError(
                "MOD-012",
                f"{len(wrong)} tensor(s) do not fit this {self.kind} adapter, the first is {wrong[0]}.",  # type: ignore[attr-defined]
                "Load the adapter with the settings that it was trained with.",
            )
        set_peft_model_state_dict(model, dict(tensors))

    def merge(self, model: Any) -> Any:
        """The base with the adapter folded in."""
        return merge_peft(model)


def wrap(model: Any, config: Any, method: MethodPart, targets: object) -> Any:
    """``get_peft_model`` with a coded error. Raises MOD-040 when the targets fit no layer."""
    from peft import get_peft_model

    try:
        wrapped = get_peft_model(model, config)
    except ValueError as error:
        raise DoyenError(
            "MOD-040",
            f"method.targets = {targets!r} does not fit this {model.config.model_type} model: {_first(error)}",
            'Name linear layers of the base, such as "q_proj", or "all-linear".',
        ) from error
    wrapped.doyen_method = method
    return wrapped


def merge_peft(model: Any) -> Any:
    """Merge any PEFT tuner. Raises MOD-044 when the base's weights are too coarse to hold the sum exactly."""
    import torch

    coarse = {
        str(parameter.dtype).removeprefix("torch.")
        for parameter in model.get_base_model().parameters()
        if parameter.dtype != torch.float32
    }
    if coarse:
        raise DoyenError(
            "MOD-044",
            f"merging into {', '.join(sorted(coarse))} weights would round the adapter away.",
            "Load the base in float32, merge, and narrow the merged model.",
        )
    return model.merge_and_unload()


def _first(error: Exception) -> str:
    return str(error).split(". ")[0].strip()[:200].removesuffix(".") + "."
