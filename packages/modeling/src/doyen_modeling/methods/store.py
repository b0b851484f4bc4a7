"""Adapters on disk, bound to their base.

The digests of the base's weights and tokenizer stand in the metadata of ``adapter_model.safetensors``: PEFT itself
loads an adapter onto any base of the same shape without a word.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from doyen_modeling.base import LoadedBase
from doyen_schemas import BaseRef, DoyenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from doyen_modeling.methods.part import MethodPart

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
BOUND: Final = "doyen_base"
METHOD: Final = "doyen_method"
# On a model whose adapter was read from a file to go on with: how that file's tensors are written.
WRITTEN: Final = "doyen_written"
Written = Literal["float16", "bfloat16", "own"]


def method_of(model: Any) -> MethodPart | None:
    """The method that was attached to ``model``; None on a bare model and on PEFT models made elsewhere."""
    return getattr(model, METHOD, None)


def save_adapter(
    model: Any, folder: Path, ref: BaseRef, dtype: Literal["float16", "own"] | None = None
) -> None:
    """Write the adapter of ``model``, two files, bound to ``ref``.

    ``dtype`` ``own`` keeps the tensors' type; by default an adapter that goes on from a file keeps that file's, and else
    the method decides, which is float16 for most.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file

    from doyen_modeling.methods.lora import Lora

    method = method_of(model)
    if isinstance(method, Lora):
        tensors = method.file_tensors(model)
    elif method is not None:
        tensors = method.tensors(model)
    else:
        tensors = get_peft_model_state_dict(model)
    written: Written = (
        dtype or getattr(model, WRITTEN, None) or (method.file_dtype() if method else "float16")
    )
    folder.mkdir(parents=True, exist_ok=True)
    # One key: safetensors writes several in random order, and equal runs should write equal files.
    save_file(_portable(tensors, written), folder / WEIGHTS, metadata={BOUND: ref.model_dump_json()})
    (folder / WEIGHTS).chmod(0o644)  # safetensors leaves 0600, which a package would carry to other users
    if isinstance(model, PeftModel):
        settings = _peft_settings(model, ref) | (method.file_settings() if isinstance(method, Lora) else {})
        if method is not None and method.hidden():
            settings[METHOD] = method.model_dump(mode="json")
    else:
        assert method is not None, "only a model with an attached method has an adapter"
        settings = {METHOD: method.model_dump(mode="json"), "base_model_name_or_path": ref.source}
    (folder / CONFIG).write_text(
        json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8"
    )


def adapter_base(folder: Path) -> BaseRef:
    """The base that an adapter was trained on. Raises MOD-010 when there is no bound adapter in ``folder``."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            return BaseRef.model_validate_json((file.metadata() or {})[BOUND])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise DoyenError(
            "MOD-010",
            f"{folder} holds no adapter bound to a base ({type(error).__name__} on {WEIGHTS}).",
            "Write adapters with doyen_modeling.methods.save_adapter, or reinstall the package that ships it.",
        ) from error


def load_adapter(base: LoadedBase, folder: Path, trainable: bool = False) -> Any:
    """``base`` with the adapter of ``folder``, whatever its kind: in eval mode, or to go on training it.

    An adapter that goes on keeps its method and the type of its file. Raises MOD-010 without a bound adapter, MOD-011
    on another base, MOD-012 when file and settings disagree or PEFT's settings are of no method here to go on with,
    MOD-042 to go on with qlora on a machine that cannot.
    """
    bound = adapter_base(folder)
    for what in ("weights_sha256", "tokenizer_sha256"):
        wanted, found = getattr(bound, what), getattr(base.ref, what)
        if wanted != found:
            raise DoyenError(
                "MOD-011",
                f"the adapter {folder.name} was trained on {bound.source} with {what} {wanted[:12]}, "
                f"but {base.ref.source} has {found[:12]}.",
                f"Load the base it was trained on: doyen base pull {bound.source}",
            )
    settings = _read_settings(folder)
    if "peft_type" not in settings:
        model = _load_own(base, folder, settings)
    elif trainable:
        model = _go_on_peft(base, folder, settings)
    else:
        model = _load_peft(base, folder, settings, trainable=False)
    if trainable:
        setattr(model, WRITTEN, _written(folder))
    else:
        for parameter in model.parameters():
            parameter.requires_grad_(False)
    return model.train(trainable)


def _load_peft(base: LoadedBase, folder: Path, settings: dict[str, Any], trainable: bool) -> Any:
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict
    from safetensors.torch import load_file

    from doyen_modeling.methods.part import check_fit

    try:
        config = PeftConfig.from_peft_type(**{key: value for key, value in settings.items() if key != METHOD})
        config.inference_mode = not trainable
        model = PeftModel.from_pretrained(base.model, str(folder), is_trainable=trainable, config=config)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DoyenError(
            "MOD-012",
            f"the settings of the adapter {folder.name} fit neither its tensors nor PEFT ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}).",
            "Load the adapter with the settings that it was trained with.",
        ) from error
    # PEFT itself says of tensors that are missing or left over no more than a warning.
    own = {name: t.shape for name, t in get_peft_model_state_dict(model, save_embedding_layers=False).items()}
    plain = model.state_dict().keys()  # an embedding that PEFT wrote beside the adapter
    found = {name: t for name, t in load_file(folder / WEIGHTS).items() if name in own or name not in plain}
    check_fit(str(settings["peft_type"]).lower(), own, found)
    return model


def _go_on_peft(base: LoadedBase, folder: Path, settings: dict[str, Any]) -> Any:
    """PEFT's file as the method that wrote it, which may be attached in a way that the file does not show."""
    from safetensors.torch import load_file

    from doyen_modeling.methods.lora import Lora
    from doyen_modeling.methods.peft import method_of_settings

    if METHOD not in settings:
        method = method_of_settings(settings, folder.name)
    else:
        method = _recorded(folder, settings)
        if isinstance(method, Lora):  # QLoRA's base is in 4-bit, PiSSA's lacks the adapter's start
            tensors = load_file(folder / WEIGHTS)
            if method.init == "pissa":
                return method.attach_start(base.model, tensors)
            model = method.attach(base.model)
            method.load(model, tensors)
            return model
    model = _load_peft(base, folder, settings, trainable=True)
    setattr(model, METHOD, method)
    return model


def _written(folder: Path) -> Written:
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (no mapping)
    floats = kinds & {"F16", "BF16", "F32", "F64"}  # indices are integers
    return "float16" if floats == {"F16"} else "bfloat16" if floats == {"BF16"} else "own"


def _load_own(base: LoadedBase, folder: Path, settings: dict[str, Any]) -> Any:
    from safetensors.torch import load_file

    method = _recorded(folder, settings)
    model = method.attach(base.model)
    method.load(model, load_file(folder / WEIGHTS))
    return model


def _recorded(folder: Path, settings: dict[str, Any]) -> MethodPart:
    from pydantic import TypeAdapter, ValidationError

    from doyen_modeling.methods import Method

    try:
        method: MethodPart = TypeAdapter(Method).validate_python(settings.get(METHOD))
    except ValidationError as error:
        raise DoyenError(
            "MOD-012",
            f"{folder / CONFIG} describes no method that this version knows.",
            "Load it with the version of doyen-modeling that wrote it.",
        ) from error
    return method


def _read_settings(folder: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise DoyenError(
            "MOD-010",
            f"{folder} holds no readable {CONFIG} ({type(error).__name__}).",
            "Write adapters with doyen_modeling.methods.save_adapter, or reinstall the package that ships it.",
        ) from error
    return settings


def _portable(tensors: Mapping[str, Tensor], written: Written) -> dict[str, Tensor]:
    import torch

    return {
        name: tensor.detach()
        .to(
            "cpu",
            tensor.dtype if written == "own" or not tensor.is_floating_point() else getattr(torch, written),
        )
        .contiguous()
        for name, tensor in tensors.items()
    }


def _peft_settings(model: Any, ref: BaseRef) -> dict[str, Any]:
    settings: dict[str, Any] = model.peft_config["default"].to_dict()
    for name in ("target_modules", "feedforward_modules"):  # sorted, so that equal runs write equal files
        if isinstance(settings.get(name), set | list | tuple):
            settings[name] = sorted(settings[name])
    # The source string instead of a folder of this machine.
    return settings | {"base_model_name_or_path": ref.source, "inference_mode": True}
