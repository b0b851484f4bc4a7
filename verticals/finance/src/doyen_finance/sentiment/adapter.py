"""The tuned encoder on disk: its change to the pinned encoder cut to low rank, and the heads, in fp16."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from doyen_finance.sentiment.model import SentimentModel
from doyen_modeling.encoder import encoder_digests
from doyen_modeling.low_rank import apply_change, encoder_change
from doyen_schemas import DoyenError

_ENCODER: Final = "encoder."


def low_rank(model: SentimentModel, rank: int) -> dict[str, Tensor]:
    """The tensors to ship: ``NAME.A`` and ``NAME.B`` of matrices, ``NAME.delta`` of vectors, the heads whole."""
    heads = {
        name: value.half().contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(_ENCODER)
    }
    return heads | {f"{_ENCODER}{name}": value for name, value in encoder_change(model.encoder, rank).items()}


def restore(tensors: dict[str, Tensor]) -> SentimentModel:
    """The model of ``low_rank``'s tensors. Raises ValueError when tensors are missing or do not fit."""
    model = SentimentModel()
    parameters = dict(model.named_parameters())
    heads = {name for name in parameters if not name.startswith("encoder.")}
    apply_change(
        model.encoder, {k.removeprefix(_ENCODER): v for k, v in tensors.items() if k.startswith(_ENCODER)}
    )
    with torch.no_grad():
        for key, value in tensors.items():
            if key in heads:
                parameters[key].copy_(value.float())
                heads.discard(key)
            elif not key.startswith(_ENCODER):
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
