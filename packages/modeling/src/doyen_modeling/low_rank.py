"""A tuned encoder as its change to the pinned one: what ships of it, and back.

Full fine-tuning trains faster on a CPU than LoRA's many small products; the best rank-r factors of each matrix's change
(truncated SVD) have the same form as a LoRA (Hu et al. 2021, arXiv:2106.09685), W + B A.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from doyen_modeling.encoder import load_encoder

if TYPE_CHECKING:
    from transformers import BertModel


def encoder_change(encoder: BertModel, rank: int) -> dict[str, Tensor]:
    """In fp16: ``NAME.B`` and ``NAME.A`` of each matrix that changed, ``NAME.delta`` of each vector that did."""
    base = load_encoder().state_dict()
    tensors: dict[str, Tensor] = {}
    for name, value in encoder.state_dict().items():
        change = value.float() - base[name].float()
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


def apply_change(encoder: BertModel, tensors: Mapping[str, Tensor]) -> None:
    """Add what ``encoder_change`` gave to the pinned encoder, in place.

    Raises KeyError for a parameter that the encoder lacks or a missing factor, ValueError for another kind of tensor.
    """
    parameters = dict(encoder.named_parameters())
    with torch.no_grad():
        for key, value in tensors.items():
            name, _, part = key.rpartition(".")
            if part == "B":
                parameters[name].add_(value.float() @ tensors[f"{name}.A"].float())
            elif part == "delta":
                parameters[name].add_(value.float())
            elif part != "A":
                raise ValueError(f"unexpected tensor {key}")
