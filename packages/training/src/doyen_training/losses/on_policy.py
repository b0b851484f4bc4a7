"""On-policy distillation: the student answers, the teacher corrects the answer token by token.

Generalised knowledge distillation (Agarwal et al. 2024, arXiv:2306.13649); with the reverse divergence also Gu et al.
2024 (arXiv:2306.08543). As a term it shares Trainer, checkpoints and method with all others: beside a cross-entropy it
is the paper's mixture of labels and own answers. Answers are generated with transformers; a run that needs vLLM for
them is one for ``trl.DistillationTrainer``.

Shape suffixes: B rows, T tokens of a row, N generated tokens of the batch, V vocabulary.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from doyen_schemas import DoyenError
from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor


class OnPolicyPart(LossBase):
    """``kind = "on-policy"``: follow the teacher on the student's own answers to the prompts of the records.

    Attributes:
        teacher: the teacher as a base with the student's tokenizer; it stays in memory. ``adapter`` is the folder of
            an adapter on it, relative to the data.
        beta: 0 is the forward divergence, 1 the reverse one, between them the generalised Jensen-Shannon divergence.
        temperature: of the generation and of both distributions.
        answer_tokens: the longest answer that is generated.
    """

    kind: Literal["on-policy"]
    teacher: Annotated[str, Field(min_length=1)]
    adapter: str | None = None
    beta: Annotated[float, Field(ge=0, le=1)] = 1.0
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    answer_tokens: Annotated[int, Field(ge=1, le=8192)] = 256

    def build(self, folder: Path) -> Term:
        """The term, with the teacher loaded. Raises MOD-…"""
        from doyen_training.distillation.teacher import load_teacher

        teacher = load_teacher(self.teacher, folder / self.adapter if self.adapter else None)
        return OnPolicy(
            teacher.model,
            teacher.tokenizer,
            self.weight,
            beta=self.beta,
            temperature=self.temperature,
            answer_tokens=self.answer_tokens,
        )


class OnPolicy(Term):
    """Mean divergence from the teacher over the tokens that the student generates; labels are not used."""

    name = "on_policy"
    falsehoods = True

    def __init__(
        self,
        teacher: Any,
        tokenizer: Any,
        weight: float = 1.0,
        *,
        beta: float = 1.0,
        temperature: float = 1.0,
        answer_tokens: int = 256,
    ) -> None:
        super().__init__(weight)
        self.teacher = teacher.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.temperature = temperature
        self.answer_tokens = answer_tokens
        self._seen = [0, 0]

    def begin(self, start: Start) -> None:
        """Place the teacher. Raises TRN-065 when the two tokenizers differ."""
        from doyen_training.distillation.cache import tokenizer_digest

        ours, theirs = tokenizer_digest(start.tokenizer), tokenizer_digest(self.tokenizer)
        if ours != theirs:
            raise DoyenError(
                "TRN-065",
                f"on-policy distillation needs one tokenizer: the student's is {ours[:12]}, the teacher's {theirs[:12]}.",
                'Use kind = "distillation", which aligns the two by their text.',
            )
        self.teacher.to(start.device)

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The mean over the generated tokens, times the share of the step's learned tokens in this batch."""
        import torch

        from doyen_training.forward import score

        prompts = self._prompts(forward)
        if not prompts:
            return forward.logits_NV.sum() * 0.0
        answers = self._answer(forward, prompts)
        self._seen = [self._seen[0] + len(prompts), self._seen[1] + sum(map(len, answers))]
        inputs, rows_N = _rows(prompts, answers, forward.inputs["input_ids"].device)
        student_NV = score(forward.model, inputs, rows_N)[2]
        with torch.no_grad():
            teacher_NV = score(self.teacher, inputs, rows_N)[2]
        # Beyond the tokenizer's vocabulary lies the padding of the embeddings, which may differ.
        shared = len(self.tokenizer)
        student_NV, teacher_NV = (x[:, :shared] / self.temperature for x in (student_NV, teacher_NV))
        return divergence(teacher_NV, student_NV, self.beta).mean() * len(forward.labels_N) / count

    def metrics(self) -> dict[str, float]:
        """``answer_tokens``: the mean length of an answer."""
        rows, tokens = self._seen
        self._seen = [0, 0]
        return {"answer_tokens": round(tokens / max(rows, 1), 2)}

    def _prompts(self, forward: Forward) -> list[list[int]]:
        """The tokens before the answer of each row, be its first one learned or false. Raises TRN-068 for packed rows."""
        if "attention_mask" not in forward.inputs:
            raise DoyenError(
                "TRN-068",
                "on-policy distillation generates an answer for each row, but rows are packed.",
                "Set data.packing = false.",
            )
        begins_BT = forward.learned_BT.clone()  # True where the next token is the answer's
        if forward.false_BT is not None:
            begins_BT[:, :-1] |= forward.false_BT[:, 1:]
        rows = zip(forward.inputs["input_ids"].tolist(), begins_BT.tolist(), strict=True)
        return [ids[: begins.index(True) + 1] for ids, begins in rows if True in begins]

    def _answer(self, forward: Forward, prompts: list[list[int]]) -> list[list[int]]:
        """An answer to each prompt, sampled from the student; the end token is its last where it came to one."""
        import torch

        model = getattr(forward.model, "module", forward.model)
        device = forward.inputs["input_ids"].device
        width = max(map(len, prompts))
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0
        ids_BT = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
        mask_BT = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
        was_training = model.training
        model.eval()
        with torch.no_grad():
            made_BT = model.generate(
                input_ids=ids_BT,
                attention_mask=mask_BT,
                max_new_tokens=self.answer_tokens,
                do_sample=True,
                temperature=self.temperature,
                top_k=0,
                top_p=1.0,
                pad_token_id=pad,
                eos_token_id=self.tokenizer.eos_token_id,
            )
        model.train(was_training)
        end = self.tokenizer.eos_token_id
        answers = [row[-(made_BT.shape[1] - width) :] for row in made_BT.tolist()]
        return [row[: row.index(end) + 1] if end in row else row for row in answers]


def divergence(teacher_NV: Tensor, student_NV: Tensor, beta: float) -> Tensor:
    """The generalised Jensen-Shannon divergence (N,) in nats, from logits.

    With ``M = beta teacher + (1 - beta) student`` it is ``beta KL(teacher ‖ M) + (1 - beta) KL(student ‖ M)``; at
    beta 0 it stands for ``KL(teacher ‖ student)``, at 1 for ``KL(student ‖ teacher)``, as in the paper.
    """
    import torch
    from torch.nn.functional import kl_div, log_softmax

    p_NV, q_NV = log_softmax(teacher_NV, -1), log_softmax(student_NV, -1)
    if beta == 0:
        return kl_div(q_NV, p_NV, reduction="none", log_target=True).sum(-1)
    if beta == 1:
        return kl_div(p_NV, q_NV, reduction="none", log_target=True).sum(-1)
    m_NV = torch.logaddexp(p_NV + math.log(beta), q_NV + math.log(1 - beta))
    to_teacher_N = kl_div(m_NV, p_NV, reduction="none", log_target=True).sum(-1)
    to_student_N = kl_div(m_NV, q_NV, reduction="none", log_target=True).sum(-1)
    return beta * to_teacher_N + (1 - beta) * to_student_N


def _rows(
    prompts: list[list[int]], answers: list[list[int]], device: Any
) -> tuple[dict[str, Tensor], Tensor]:
    """Prompts with their answers, padded on the right, and the flat positions that predict the answers' tokens."""
    import torch

    whole = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    width = max(map(len, whole))
    ids_BT = torch.tensor([row + [0] * (width - len(row)) for row in whole], device=device)
    mask_BT = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in whole], device=device)
    places = [
        row * width + len(prompt) - 1 + step
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        for step in range(len(answer))
    ]
    return {"input_ids": ids_BT, "attention_mask": mask_BT}, torch.tensor(places, device=device)
