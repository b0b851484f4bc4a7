"""LoRA adapters (Hu et al. 2021) bound to their base.

The digests of the base's weights and tokenizer stand in the metadata of ``adapter_model.safetensors``: PEFT itself
loads an adapter onto any base of the same shape without a word.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from doyen_modeling.base import LoadedBase
from doyen_schemas import BaseRef, DoyenError

if TYPE_CHECKING:
    from peft import PeftModel

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
BOUND: Final = "doyen_base"


def save_adapter(model: PeftModel, folder: Path, ref: BaseRef) -> None:
    """Write the adapter of ``model`` in float16, two files, bound to ``ref``."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in get_peft_model_state_dict(model).items()
    }
    # One key: safetensors writes several in random order, and equal runs should write equal files.
    save_file(state, folder / WEIGHTS, metadata={BOUND: ref.model_dump_json()})
    (folder / WEIGHTS).chmod(0o644)  # safetensors leaves 0600, which a package would carry to other users
    settings = model.peft_config["default"].to_dict()
    settings |= {
        # The source string instead of a folder of this machine; sorted, so that equal runs write equal files.
        "base_model_name_or_path": ref.source,
        "target_modules": sorted(settings["target_modules"]),
        "inference_mode": True,
    }
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
            f"{folder} holds no LoRA adapter bound to a base ({type(error).__name__} on {WEIGHTS}).",
            "Write adapters with doyen_modeling.lora.save_adapter, or reinstall the package that ships it.",
        ) from error


def load_adapter(base: LoadedBase, folder: Path) -> PeftModel:
    """``base`` with the adapter of ``folder``, in eval mode. Raises MOD-010, and MOD-011 on another base."""
    from peft import PeftModel

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
    return PeftModel.from_pretrained(base.model, str(folder)).eval()
