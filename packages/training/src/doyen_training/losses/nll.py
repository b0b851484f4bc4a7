"""Summed negative log-likelihood with two buffers of the logits' size instead of three.

``torch.nn.functional.cross_entropy`` keeps the log-probabilities beside the logits until the backward pass and then
makes the gradient. Here only each row's normaliser is kept, and the gradient is made from the logits, a few rows at a
time: with a wide vocabulary these buffers are the largest of a training step. Same speed, same result.

Shape suffixes: N positions, V vocabulary.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

ROWS: Final = 64  # at a time: temporaries stay within the processor's cache


class _SummedNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, labels_N: Tensor) -> Tensor:
        norm_N = logits_NV.new_empty(len(labels_N))
        for i in range(0, len(labels_N), ROWS):
            norm_N[i : i + ROWS] = logits_NV[i : i + ROWS].logsumexp(-1)
        ctx.save_for_backward(logits_NV, labels_N, norm_N)
        return (norm_N - logits_NV.gather(1, labels_N[:, None])[:, 0]).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        logits_NV, labels_N, norm_N = ctx.saved_tensors
        slope_NV = torch.empty_like(logits_NV)
        for i in range(0, len(labels_N), ROWS):
            torch.sub(logits_NV[i : i + ROWS], norm_N[i : i + ROWS, None], out=slope_NV[i : i + ROWS]).exp_()
        slope_NV.scatter_add_(1, labels_N[:, None], -torch.ones_like(norm_N)[:, None])
        return slope_NV.mul_(slope), None


def summed_nll(logits_NV: Tensor, labels_N: Tensor) -> Tensor:
    """Sum over N of the negative log-likelihood of ``labels_N``, in nats; differentiable once."""
    total: Tensor = _SummedNll.apply(logits_NV, labels_N)
    return total
