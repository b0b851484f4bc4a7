"""The tuned encoder on disk: its change to the pinned encoder cut to low rank, and the heads, in fp16.

Full fine-tuning trains faster on a CPU than LoRA's many small products; the best rank-r factors of each matrix's
change (truncated SVD) have the same form as a LoRA (Hu et al. 2021, arXiv:2106.09685).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from doyen_finance.sentiment.model import SentimentModel
from doyen_modeling.encoder import encoder_digests, load_encoder
from doyen_schemas import DoyenError


def low_rank(model: SentimentModel, rank: int) -> dict[str, Tensor]:
    """The tensors to ship: ``NAME.A`` and ``NAME.B`` of matrices, ``NAME.delta`` of vectors, the heads whole."""
    base = load_encoder().state_dict()
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        part = name.removeprefix("encoder.")
        if part == name:
            tensors[name] = value.half().contiguous()
            continue
        change = value.float() - base[part].float()
        if not change.any():
            continue
        if change.ndim == 2:
            u, s, v = torch.linalg.svd(change, full_matrices=False)
            root = s[:rank].sqrt()
            tensors[f"{name}.B"] = (u[:, :rank] * root).half().contiguous()
            tensors[f"{name}.A"] = (root[:, None] * v[:rank]).half().contiguous()
        else:
            tensors[f"{name}.delta"] = change.half().contiguous()
    return tensors


def restore(tensors: dict[str, Tensor]) -> SentimentModel:
    """The model of ``low_rank``'s tensors. Raises ValueError when tensors are missing or do not fit."""
    model = SentimentModel()
    parameters = dict(model.named_parameters())
    heads = {name for name in parameters if not name.startswith("encoder.")}
    with torch.no_grad():
        for key, value in tensors.items():
            name, _, part = key.rpartition(".")
            if key in heads:
                parameters[key].copy_(value.float())
                heads.discard(key)
            elif part == "B":
                parameters[name].add_(value.float() @ tensors[f"{name}.A"].float())
            elif part == "delta":
                parameters[name].add_(value.float())
            elif part != "A":
                raise ValueError(f"unexpected tensor {key}")
    if heads:
        raise ValueError(f"tensors {sorted(heads)[:3]} are missing")
    model.requires_grad_(False)
    return model.eval()


def load(path: Path, stated: dict[str, Any]) -> SentimentModel:
    """The tuned encoder in ``path``; ``stated`` is the configuration beside it.

    Raises FIN-045 when the file is missing or unreadable, FIN-048 when it was tuned on another encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    installed = encoder_digests()
    if (stated.get("encoder_sha256"), stated.get("tokenizer_sha256")) != installed:
        raise DoyenError(
            "FIN-048",
            f"{path.name} was tuned on encoder {str(stated.get('encoder_sha256'))[:12]}, "
            f"but {installed[0][:12]} is installed: digests must agree.",
            "Install the encoder version that the package pins.",
        )
    try:
        return restore(load_file(path))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DoyenError:
    """FIN-045 for a file of the sentiment weights."""
    return DoyenError(
        "FIN-045",
        f"sentiment weights {path.name} cannot be read ({type(error).__name__}).",
        "Reinstall doyen-finance, or train them again: doyen finance train sentiment.",
    )
