"""Offline distillation from cached logits of a teacher, with protection against the teacher's errors.

The teacher was asked once (``doyen_training.distillation.cache``) and is not in memory. Its distribution at a learned
position is known as the k likeliest tokens and the mass of all others, the tail. Teacher and student are both brought
to these k + 1 classes *before* the temperature softens them: exact at T = 1 and for k = V at every T, and zero exactly
where the two agree on the classes. For T ≠ 1 it is not the divergence of the two softened full distributions, since
the tail is softened as one class.

Shape suffixes: N learned positions, K cached tokens of a position, V vocabulary, S samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor

    from doyen_training.distillation.cache import TeacherCache


class DistillationPart(LossBase):
    """``kind = "distillation"``: follow a teacher whose logits ``doyen train teacher RECIPE`` has cached.

    Attributes:
        teacher: the teacher as a base; ``adapter`` is the folder of an adapter on it.
        cache: the cache's folder, relative to the data. ``top`` tokens are kept for each position.
        temperature: softens teacher and student; the loss is scaled by its square (Hinton et al. 2015).
        teacher_weight: "dynamic" weighs each sample by what the teacher gives its labels, between ``floor`` and
            ``ceiling`` with mean about one.
        projection: takes out the part of the gradient that works against the labels' (projection of conflicting
            gradients, Yu et al. 2020, arXiv:2001.06782, for each token in the space of the logits).
        gate: learned tokens whose label costs the teacher more nats than this are not distilled.
    """

    kind: Literal["distillation"]
    teacher: Annotated[str, Field(min_length=1)]
    adapter: str | None = None
    cache: Annotated[str, Field(min_length=1)] = "teacher"
    top: Annotated[int, Field(ge=1, le=4096)] = 64
    temperature: Annotated[float, Field(gt=0, le=100)] = 2.0
    teacher_weight: Literal["fixed", "dynamic"] = "fixed"
    floor: Annotated[float, Field(ge=0, le=1)] = 0.1
    ceiling: Annotated[float, Field(ge=1, le=10)] = 2.0
    projection: bool = False
    gate: Annotated[float, Field(gt=0)] | None = None

    def build(self, folder: Path) -> Term:
        """The term that fits the cache: by token where both models have one tokenizer, else by text.

        Raises TRN-060 without a finished cache, TRN-061 for the cache of another teacher.
        """
        from doyen_training.distillation.cache import TeacherCache
        from doyen_training.distillation.teacher import folder_digest

        cache = TeacherCache(folder / self.cache)
        adapter = folder_digest(folder / self.adapter) if self.adapter else ""
        cache.check_teacher(self.teacher, adapter, self.top)
        if cache.alignment == "text":
            from doyen_training.losses.cross_tokenizer import CrossTokenizer

            return CrossTokenizer(cache, self.weight, self.gate)
        return Distillation(
            cache,
            self.weight,
            temperature=self.temperature,
            bounds=(self.floor, self.ceiling) if self.teacher_weight == "dynamic" else None,
            projection=self.projection,
            gate=self.gate,
        )


class Distillation(Term):
    """``T² KL(teacher ‖ student)`` at the learned positions, over the cached tokens and the tail."""

    name = "distillation"

    def __init__(
        self,
        cache: TeacherCache,
        weight: float = 1.0,
        *,
        temperature: float = 2.0,
        bounds: tuple[float, float] | None = None,
        projection: bool = False,
        gate: float | None = None,
    ) -> None:
        super().__init__(weight)
        self.cache = cache
        self.temperature = temperature
        self.bounds = bounds
        self.projection = projection
        self.gate = math.inf if gate is None else gate
        self._weights: list[float] = []
        self._seen = dict.fromkeys(("tokens", "gated", "conflicts", "weight"), 0.0)

    def begin(self, start: Start) -> None:
        """Check that the cache is of these samples. Raises TRN-061."""
        self.cache.check(start.examples, start.tokenizer)
        if self.bounds:
            self._weights = sample_weights(
                [self.cache.rows(i)["gold"] for i in range(len(start.examples))], self.bounds
            )

    def token_columns(self, index: int) -> Mapping[str, Tensor]:
        """The cached rows of a sample."""
        return {f"{self.name}/{key}": value for key, value in self.cache.rows(index).items()}

    def sample_columns(self, index: int) -> Mapping[str, Tensor]:
        """The weight of a sample."""
        import torch

        if not self.bounds:
            return {}
        return {f"{self.name}/weight": torch.tensor(self._weights[index])}

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The sum over the positions that pass the gate, weighted, divided by ``count``."""
        import torch
        from torch.nn.functional import cross_entropy

        from doyen_modeling.distillation import soft_divergence

        top_NK, tail_N, tokens_NK, gold_N = (
            forward.extra[f"{self.name}/{key}"] for key in ("top", "tail", "tokens", "gold")
        )
        if not len(gold_N):
            return forward.logits_NV.sum() * 0.0
        tokens_NK = tokens_NK.long()
        teacher_NK = with_tail(top_NK.float(), tail_N, forward.logits_NV.shape[-1])
        student_NK = coarse(forward.logits_NV, tokens_NK)
        divergence_N = soft_divergence(teacher_NK, student_NK, self.temperature)
        if self.projection:
            push_N = conflict(
                forward.logits_NV.detach(),
                forward.labels_N,
                tokens_NK,
                teacher_NK,
                student_NK.detach(),
                self.temperature,
            )
            nll_N = cross_entropy(forward.logits_NV, forward.labels_N, reduction="none")
            # Adds only to the gradient: the value stays the divergence.
            divergence_N = divergence_N + push_N * (nll_N - nll_N.detach())
            self._seen["conflicts"] += float((push_N > 0).sum())
        weight_N = (gold_N >= -self.gate).to(divergence_N)
        self._seen["gated"] += float((weight_N == 0).sum())
        if self.bounds:
            weight_N = weight_N * forward.extra[f"{self.name}/weight"][forward.sample_N]
        self._seen["tokens"] += len(weight_N)
        self._seen["weight"] += float(weight_N.sum())
        return (torch.where(weight_N > 0, weight_N * divergence_N, 0.0)).sum() / count

    def metrics(self) -> dict[str, float]:
        """Shares of the tokens that were gated and projected, and the mean weight."""
        tokens = max(self._seen["tokens"], 1.0)
        shares = {key: round(value / tokens, 4) for key, value in self._seen.items() if key != "tokens"}
        self._seen = dict.fromkeys(self._seen, 0.0)
        return shares


def coarse(logits_NV: Tensor, tokens_NK: Tensor) -> Tensor:
    """Logits (N, K + 1) of the classes "each of the K tokens" and "any other"; (N, V) sorted when K = V."""
    import torch

    top_NK = logits_NV.gather(1, tokens_NK)
    if tokens_NK.shape[1] == logits_NV.shape[1]:
        return top_NK
    rest_N = logits_NV.scatter(1, tokens_NK, -torch.inf).logsumexp(1)
    return torch.cat([top_NK, rest_N[:, None]], dim=1)


def with_tail(top_NK: Tensor, tail_N: Tensor, vocabulary: int) -> Tensor:
    """The teacher's log-probabilities of the same classes."""
    import torch

    return top_NK if top_NK.shape[1] == vocabulary else torch.cat([top_NK, tail_N[:, None]], dim=1)


def conflict(
    logits_NV: Tensor,
    labels_N: Tensor,
    tokens_NK: Tensor,
    teacher_NC: Tensor,
    student_NC: Tensor,
    temperature: float,
) -> Tensor:
    """How much of the labels' gradient must be added for the distillation's not to work against it (N,), at least 0.

    With g the gradient of the divergence and h that of the cross-entropy, both in the space of the logits, the
    projection ``g - (g·h / h·h) h`` where ``g·h < 0`` is the gradient of the divergence plus ``-(g·h / h·h)`` times
    the cross-entropy. ``h`` is p - 1[label], and ``g`` is T (P_c - Q_c) for a class c of one token, shared among the
    tail's tokens by their probability: no second pass is needed.
    """
    from torch.nn.functional import one_hot

    p_NV = logits_NV.softmax(-1)
    gap_NC = temperature * ((student_NC / temperature).softmax(-1) - (teacher_NC / temperature).softmax(-1))
    g_NV = p_NV.scatter(1, tokens_NK, 0.0)
    g_NV = g_NV / g_NV.sum(1, keepdim=True).clamp(min=1e-30)
    if gap_NC.shape[1] > tokens_NK.shape[1]:
        g_NV = g_NV * gap_NC[:, -1:]
    g_NV = g_NV.scatter(1, tokens_NK, gap_NC[:, : tokens_NK.shape[1]])
    h_NV = p_NV - one_hot(labels_N, p_NV.shape[1])
    along_N = (g_NV * h_NV).sum(1) / h_NV.square().sum(1).clamp(min=1e-12)
    return (-along_N).clamp(min=0.0)


def sample_weights(gold: list[Tensor], bounds: tuple[float, float]) -> list[float]:
    """A weight for each sample: the geometric mean probability that the teacher gives its labels, over the mean of all.

    ``gold`` holds each sample's log-probabilities of its labels.
    """
    trust = [math.exp(float(row.float().mean())) if len(row) else 0.0 for row in gold]
    mean = max(sum(trust) / max(len(trust), 1), 1e-12)
    return [min(max(value / mean, bounds[0]), bounds[1]) for value in trust]
