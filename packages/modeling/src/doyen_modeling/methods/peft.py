"""What the methods that PEFT implements have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_modeling.methods.part import MethodPart, check_fit
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor

# Settings of PEFT that no method here writes: going on without them would be another adapter.
_FOREIGN: Final = ("rank_pattern", "alpha_pattern", "bias", "modules_to_save")


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
        """Take back what ``tensors`` gave. Raises MOD-012 unless names and shapes are the model's."""
        from peft import set_peft_model_state_dict

        own = self.tensors(model)
        check_fit(self.kind, {name: tensor.shape for name, tensor in own.items()}, tensors)  # type: ignore[attr-defined]
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


def method_of_settings(settings: Mapping[str, Any], name: str) -> MethodPart:
    """The method that PEFT's settings of the adapter ``name`` describe. Raises MOD-012 where there is none here."""
    from pydantic import ValidationError

    from doyen_modeling.methods.ia3 import IA3
    from doyen_modeling.methods.lora import Lora

    kind = settings["peft_type"]
    foreign = [key for key in _FOREIGN if settings.get(key) not in (None, "none", {}, [])]
    try:
        if foreign:
            reason = f"it sets {', '.join(foreign)}, which no method here has"
        elif kind == "SHIRA":
            reason = "its settings do not say how its mask was scored (no doyen_method)"
        elif kind == "LORA":
            return Lora(
                rank=settings["r"],
                alpha=settings["lora_alpha"],
                dropout=settings.get("lora_dropout") or 0.0,
                targets=_names(settings["target_modules"]),
                rslora=settings.get("use_rslora") or False,
                dora=settings.get("use_dora") or False,
            )
        elif kind == "IA3":
            targets, feedforward = (_names(settings[k]) for k in ("target_modules", "feedforward_modules"))
            return IA3(targets=targets, feedforward=feedforward)
        else:
            reason = f"its type is {kind}, which no method here has"
    except (KeyError, TypeError) as error:
        reason = f"a setting is missing or wrong ({error})"
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{first['loc'][0] if first['loc'] else 'a setting'} is {first['input']!r}, which no method here has"
    raise DoyenError(
        "MOD-012",
        f"the adapter {name} cannot be trained on: {reason}.",
        "Merge it into a base of its own and tune that, or serve it as it is.",
    )


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


def _names(names: Any) -> Any:
    return names if isinstance(names, str) else tuple(names)
