"""QLoRA (Dettmers et al. 2023): LoRA over a base in 4-bit NormalFloat, through bitsandbytes on a CUDA device."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from doyen_modeling.methods.lora import Lora
from doyen_schemas import DoyenError


class QLora(Lora):
    """QLoRA: the keys of ``lora`` (without ``init``), and whether the scales are quantised as well."""

    kind: Literal["qlora"] = "qlora"  # type: ignore[assignment]
    init: Literal["zero"] = "zero"
    double_quant: bool = True

    mergeable: ClassVar[bool] = False

    def attach(self, model: Any) -> Any:
        """Quantise the linear layers but the output layer, in place, and add LoRA. Raises MOD-042, MOD-040."""
        check_device()
        quantise(model, self.double_quant, "cuda")
        return super().attach(model)

    def hidden(self) -> bool:
        """The file does not tell that the base was in 4-bit."""
        return True

    def merge(self, model: Any) -> Any:  # noqa: ARG002
        """Refused: a 4-bit weight cannot hold the sum. Raises MOD-044."""
        raise DoyenError(
            "MOD-044",
            "merging into 4-bit weights would round the adapter away.",
            "Load the saved adapter on the base in float32 and merge there.",
        )


def check_device() -> None:
    """Raise MOD-042 where 4-bit training cannot run: no CUDA device, one that is too old, or no bitsandbytes."""
    import importlib.util

    import torch

    problem = None
    if not torch.cuda.is_available():
        problem = "qlora needs a CUDA device, and there is none."
    elif torch.cuda.get_device_capability() < (7, 5):
        problem = (
            f"qlora needs a CUDA device of capability 7.5, this one has {torch.cuda.get_device_capability()}."
        )
    elif importlib.util.find_spec("bitsandbytes") is None:
        problem = "qlora needs bitsandbytes, which is not installed."
    if problem:
        raise DoyenError(
            "MOD-042",
            problem,
            "Use kind = 'lora', or a CUDA machine with: pip install 'doyen-modeling[gpu]'.",
        )


def quantise(model: Any, double_quant: bool, device: str) -> None:
    """Replace every linear layer but the output layer by its NF4 version and move the model to ``device``.

    Computes in bfloat16 where the device has it, else in float16; layers shrink one after the other, so the device
    never holds the whole model in full precision.
    """
    import torch
    from bitsandbytes.nn import Linear4bit, Params4bit
    from torch import nn

    cuda = device.startswith("cuda")
    compute = torch.float16 if cuda and not torch.cuda.is_bf16_supported() else torch.bfloat16
    linear = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not model.get_output_embeddings()
    ]
    for name, module in linear:
        small = Linear4bit(
            module.in_features,
            module.out_features,
            bias=module.bias is not None,
            compute_dtype=compute,
            compress_statistics=double_quant,
            quant_type="nf4",
            device="meta",
        )
        small.weight = Params4bit(
            module.weight.data, requires_grad=False, compress_statistics=double_quant, quant_type="nf4"
        )
        if module.bias is not None:
            small.bias = nn.Parameter(module.bias.data, requires_grad=False)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, small.to(device))
    model.to(device)
    # What PEFT, TRL and accelerate ask. Not is_quantized: that promises a quantizer of transformers.
    model.is_loaded_in_4bit = True
