"""Asking the reviewer model: batched greedy generation that drops a row as soon as it has answered.

Most answers are ``NONE``, so most rows end after one step; a batch that waited for its longest quote would waste
the rest. The score of an answer is ``1 - p(NONE)`` at its first token, and ``NONE`` is the answer only where its
probability reaches a threshold: a quote may begin with many words, so ``NONE`` is the likeliest single token long
before it is the likelier answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from doyen_legal.llm.prompt import NONE, Window, check_answer, context, question

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER: Final = Path(__file__).parent.parent / "adapter" / "reviewer"
# Tokens: the longest answer of the training records.
LONGEST: Final = 240
# The probability from which NONE is the answer; chosen on dev questions, where it balances the two kinds of error.
NONE_FROM: Final = 0.7


class Request(NamedTuple):
    """One question: a label and the window to look at."""

    label: str
    window: Window


class Answer(NamedTuple):
    """A checked answer: document ranges of verbatim quotes, the quotes dropped as not verbatim, and the score."""

    spans: tuple[tuple[int, int], ...]
    rejected: int
    score: float


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A loaded reviewer model."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_reviewer(adapter: Path | None = ADAPTER, base: str | None = None) -> Reviewer:
    """Load base and adapter from disk, offline; ``adapter=None`` is the untuned base, for comparison.

    ``base`` overrides where the base is read from; its digests must still be those of the adapter. Raises MOD-002
    when the base is absent, MOD-010 and MOD-011 when the adapter is missing or belongs to another base.
    """
    import torch

    from doyen_modeling.base import DEFAULT_BASE, load_base
    from doyen_modeling.encoder import has_bf16_units
    from doyen_modeling.methods import adapter_base, load_adapter, merge

    loaded = load_base(base or (adapter_base(adapter).source if adapter else DEFAULT_BASE))
    # Merged in float32, where it changes logits by less than 1e-3, and only then narrowed.
    model = merge(load_adapter(loaded, adapter)) if adapter else loaded.model
    if has_bf16_units():
        model = model.to(torch.bfloat16)  # type: ignore[arg-type]
    return Reviewer(model.eval(), loaded.tokenizer)


def review_windows(requests: Sequence[Request], reviewer: Reviewer, batch_size: int = 8) -> list[Answer]:
    """An answer for each request, in their order; every quote is verbatim in its window."""
    prompts: list[list[int]] = [
        reviewer.tokenizer.apply_chat_template(
            [*context(r.window), question(r.label)], add_generation_prompt=True, return_dict=False
        )  # type: ignore[misc]
        for r in requests
    ]
    answers: list[Answer | None] = [None] * len(requests)
    # Alike lengths together: less padding.
    order = sorted(range(len(requests)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        for row, (text, score) in zip(rows, _generate([prompts[i] for i in rows], reviewer), strict=True):
            checked = check_answer(text, requests[row].window)
            answers[row] = Answer(checked.spans, checked.rejected, score)
    return [answer for answer in answers if answer is not None]


def _generate(prompts: Sequence[list[int]], reviewer: Reviewer) -> list[tuple[str, float]]:
    """Greedy text and score of every prompt of a batch. B rows still running, T tokens so far."""
    import torch

    tokenizer = reviewer.tokenizer
    stop, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    none = tokenizer.encode(NONE, add_special_tokens=False)[0]
    width = max(map(len, prompts))
    ids_BT = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask_BT = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    running = list(range(len(prompts)))
    written: list[list[int]] = [[] for _ in prompts]
    scores: list[float] = []
    cache = None
    with torch.inference_mode():
        for _ in range(LONGEST):
            out = reviewer.model(
                input_ids=ids_BT,
                attention_mask=mask_BT,
                position_ids=(mask_BT.cumsum(-1) - 1).clamp(min=0)[:, -ids_BT.shape[1] :],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache, logits_BV = out.past_key_values, out.logits[:, -1].float()
            if not scores:
                none_B = logits_BV.softmax(-1)[:, none]
                scores = (1 - none_B).tolist()
                logits_BV[:, none] = torch.where(none_B < NONE_FROM, -torch.inf, torch.inf)
            next_B = logits_BV.argmax(-1)
            keep = [i for i, token in enumerate(next_B.tolist()) if token != stop]
            for i in keep:
                written[running[i]].append(int(next_B[i]))
            if not keep:
                break
            if len(keep) < len(running):
                cache.batch_select_indices(torch.tensor(keep))
                running = [running[i] for i in keep]
            ids_BT = next_B[keep, None]
            mask_BT = torch.nn.functional.pad(mask_BT[keep], (0, 1), value=1)
    return [
        (str(tokenizer.decode(w, skip_special_tokens=True)), s) for w, s in zip(written, scores, strict=True)
    ]
