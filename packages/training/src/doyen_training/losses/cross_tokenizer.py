"""Distillation between models with different tokenizers: universal logit distillation at aligned positions.

Boizard et al. 2024 (arXiv:2402.12030): the tokens of two vocabularies have no common names, but the two distributions
have a common shape: the loss is the sum of the absolute differences of the sorted probabilities. The paper pairs the
n-th tokens of both sequences; here only positions are paired at which both models have read the same text.

Shape suffixes: N learned positions, K cached tokens of a position, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor

    from doyen_training.distillation.cache import TeacherCache


class CrossTokenizer(Term):
    """Sum of ``|p - q|`` over sorted probabilities, at the aligned positions; the mass of the tails is one class more."""

    name = "distillation"

    def __init__(self, cache: TeacherCache, weight: float = 1.0, gate: float | None = None) -> None:
        super().__init__(weight)
        self.cache = cache
        self.gate = math.inf if gate is None else gate
        self._seen = [0, 0]

    def begin(self, start: Start) -> None:
        """Check that the cache is of these samples. Raises TRN-061."""
        self.cache.check(start.examples, start.tokenizer)

    def token_columns(self, index: int) -> Mapping[str, Tensor]:
        """The cached rows of a sample; the teacher's token ids mean nothing here."""
        rows = self.cache.rows(index)
        return {f"{self.name}/{key}": rows[key] for key in ("top", "tail", "gold", "aligned")}

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The sum over the aligned positions divided by ``count``."""
        top_NK, tail_N, gold_N, aligned_N = (
            forward.extra[f"{self.name}/{key}"] for key in ("top", "tail", "gold", "aligned")
        )
        used_N = aligned_N.bool() & (gold_N >= -self.gate)
        self._seen[0] += int(used_N.sum())
        self._seen[1] += len(used_N)
        if not bool(used_N.any()):
            return forward.logits_NV.sum() * 0.0
        return (
            sorted_distance(top_NK[used_N].float(), tail_N[used_N], forward.logits_NV[used_N]).sum() / count
        )

    def metrics(self) -> dict[str, float]:
        """The share of the learned tokens that is aligned and passes the gate."""
        used, learned = self._seen
        self._seen = [0, 0]
        return {"aligned": round(used / max(learned, 1), 4)}


def sorted_distance(top_NK: Tensor, tail_N: Tensor, logits_NV: Tensor) -> Tensor:
    """The 1-Wasserstein distance of the sorted probabilities, the tails as one class (N,)."""
    import torch

    k = min(top_NK.shape[1], logits_NV.shape[1])
    student_NV = logits_NV.softmax(-1)
    best_NK = student_NV.topk(k, dim=-1).values
    rest_N = 1 - best_NK.sum(-1)
    teacher_NK = top_NK[:, :k].exp()
    teacher_rest_N = tail_N.exp() + top_NK[:, k:].exp().sum(-1)
    distance_N: Tensor = (best_NK - teacher_NK).abs().sum(-1) + torch.abs(rest_N - teacher_rest_N)
    return distance_N
