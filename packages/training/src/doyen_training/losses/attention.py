"""Distillation in two stages: first the maps of attention, then the logits.

As TinyBERT (Jiao et al. 2020, arXiv:1909.10351) a student's layer follows the teacher's at the same relative depth,
and as MiniLM (Wang et al. 2020, arXiv:2002.10957) its map follows by the divergence of distributions. Maps need the
eager attention and a teacher in memory: they are too large to keep.

Shape suffixes: B rows, H heads, T tokens of a row, N learned positions, V vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from doyen_schemas import DoyenError
from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor


class AttentionPart(LossBase):
    """``kind = "attention"``: align the maps of attention for ``switch`` steps, the logits from then on.

    Attributes:
        teacher: the teacher as a base; it stays in memory. ``adapter`` is the folder of an adapter on it.
        switch: the optimizer step at which the second stage begins.
        temperature: softens the logits of the second stage.
    """

    kind: Literal["attention"]
    teacher: Annotated[str, Field(min_length=1)]
    adapter: str | None = None
    switch: Annotated[int, Field(ge=0)]
    temperature: Annotated[float, Field(gt=0, le=100)] = 2.0

    def build(self, folder: Path) -> Term:
        """The term, with the teacher loaded. Raises MOD-…"""
        from doyen_training.distillation.teacher import load_teacher

        teacher = load_teacher(self.teacher, folder / self.adapter if self.adapter else None)
        return Attention(teacher.model, teacher.tokenizer, self.weight, self.switch, self.temperature)


class Attention(Term):
    """Stage one: mean divergence of the teacher's maps from the student's; stage two: that of the logits."""

    name = "attention"
    attentions = True
    falsehoods = True

    def __init__(
        self, teacher: Any, tokenizer: Any, weight: float = 1.0, switch: int = 100, temperature: float = 2.0
    ) -> None:
        super().__init__(weight)
        self.teacher = teacher.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.switch = switch
        self.temperature = temperature

    def begin(self, start: Start) -> None:
        """Make both models return their maps. Raises TRN-063 when the tokenizers differ."""
        from doyen_training.distillation.cache import tokenizer_digest

        ours, theirs = tokenizer_digest(start.tokenizer), tokenizer_digest(self.tokenizer)
        if ours != theirs:
            raise DoyenError(
                "TRN-063",
                f"maps of attention need one tokenizer: the student's is {ours[:12]}, the teacher's {theirs[:12]}.",
                'Use kind = "distillation", which aligns the two by their text.',
            )
        self.teacher.to(start.device)
        for model in (start.model, self.teacher):
            # Other implementations return no maps.
            base = model.get_base_model() if hasattr(model, "get_base_model") else model
            base.set_attn_implementation("eager")

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The loss of the stage that ``step`` is in; maps are averaged over layers, heads and tokens not false."""
        import torch

        from doyen_modeling.distillation import soft_divergence
        from doyen_training.forward import score

        rows_N = forward.learned_BT.flatten().nonzero().squeeze(1)
        maps = self.step < self.switch
        with torch.no_grad():
            outputs, _, logits_NV = score(self.teacher, forward.inputs, rows_N, output_attentions=maps)
        if not maps:
            shared = min(logits_NV.shape[-1], forward.logits_NV.shape[-1], len(self.tokenizer))
            return (
                soft_divergence(logits_NV[:, :shared], forward.logits_NV[:, :shared], self.temperature).sum()
                / count
            )
        mask_BT = forward.text_BT
        if mask_BT is None:
            mask_BT = forward.inputs.get(
                "attention_mask", torch.ones_like(forward.inputs["input_ids"])
            ).bool()
        if forward.false_BT is not None:
            mask_BT = mask_BT & ~forward.false_BT
        total = maps_divergence(outputs.attentions, forward.outputs.attentions, mask_BT)
        return total * len(rows_N) / count


def layer_map(student: int, teacher: int) -> list[int]:
    """For each of the student's layers the teacher's at the same relative depth: the last follows the last."""
    return [max(0, round((layer + 1) * teacher / student) - 1) for layer in range(student)]


def match_heads(teacher_BHTT: Tensor, heads: int) -> Tensor:
    """The teacher's maps for ``heads`` heads: neighbours averaged where it has a multiple, else the mean of all.

    With grouped-query attention the query heads of one key head are neighbours, so they are averaged together.
    """
    own = teacher_BHTT.shape[1]
    if own == heads:
        return teacher_BHTT
    if own % heads == 0:
        return teacher_BHTT.unflatten(1, (heads, own // heads)).mean(2)
    return teacher_BHTT.mean(1, keepdim=True).expand(-1, heads, -1, -1)


def maps_divergence(teacher: Any, student: Any, mask_BT: Tensor) -> Tensor:
    """Mean ``KL(teacher ‖ student)`` in nats over layers, heads and the tokens of the mask."""
    import torch

    total = torch.zeros((), device=mask_BT.device)
    for layer, source in enumerate(layer_map(len(student), len(teacher))):
        q_BHTT = student[layer].float()
        q_BHTT = q_BHTT[..., -mask_BT.shape[1] :, -mask_BT.shape[1] :]  # without virtual tokens
        p_BHTT = match_heads(teacher[source].float(), q_BHTT.shape[1])
        gap_BHTT = p_BHTT * (p_BHTT.clamp(min=1e-9).log() - q_BHTT.clamp(min=1e-9).log())
        per_BT = gap_BHTT.sum(-1).mean(1)
        total = total + per_BT[mask_BT].mean()
    return total / len(student)
