"""The second candidate: the embedded base with a LoRA adapter, asked for one word.

Its probabilities are those of the three answers' first tokens after the prompt; nothing is generated.

Shapes: B prompts, T tokens, V vocabulary, C sentiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_finance.sentiment.corpora import LABELS, Target
from doyen_finance.sentiment.text import URL

if TYPE_CHECKING:
    from doyen_data import Record

PART: Final = "sentiment-lora"
# The first wording is trained on; the others only measure how much the answer hangs on the wording.
WORDINGS: Final = (
    ("Sentiment", "Sentiment for {target}?", "the market"),
    (
        "Answer with one word: positive, neutral or negative.",
        "What is the sentiment about {target}?",
        "the market",
    ),
    ("Financial news", "How does this sound for {target}: positive, neutral or negative?", "investors"),
)
MAX_CHARS: Final = 1_200


@dataclass(frozen=True, slots=True)
class AskedModel:
    """Base with merged adapter, its tokenizer, and the first tokens of the three answers."""

    model: Any
    tokenizer: Any
    answers: tuple[int, ...]


def prompt(item: Target, wording: int = 0) -> list[dict[str, str]]:
    """System and user turn. The text cannot spell control tokens: ``<`` in it reads ``‹``."""
    system, question, whole = WORDINGS[wording]
    name = item.text[slice(*item.spans[0])] if item.spans else ""
    target = name if name and name != item.text else whole
    text = URL.sub("", item.text).strip()[:MAX_CHARS]
    user = f"{text}\n{question.format(target=target)}".replace("<", "‹")
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def record(item: Target, number: str) -> Record:
    """One training record in the first wording."""
    from doyen_data import Message, Record

    turns = [Message.model_validate(turn) for turn in prompt(item)]
    return Record(id=number, messages=(*turns, Message(role="assistant", content=LABELS[item.label])))


def load(adapter: Path | None) -> AskedModel:
    """Load the base and merge ``adapter`` into it; None is the untuned base. Raises MOD-002, MOD-010, MOD-011."""
    import torch

    from doyen_finance.sentiment.model import has_bf16
    from doyen_modeling.base import DEFAULT_BASE, load_base
    from doyen_modeling.methods import adapter_base, load_adapter, merge

    loaded = load_base(adapter_base(adapter).source if adapter else DEFAULT_BASE)
    # Merged in float32 and only then narrowed.
    model: Any = merge(load_adapter(loaded, adapter)) if adapter else loaded.model
    if has_bf16():
        model = model.to(torch.bfloat16)
    answers = tuple(loaded.tokenizer.encode(label, add_special_tokens=False)[0] for label in LABELS)
    return AskedModel(model.eval(), loaded.tokenizer, answers)


@cache
def shipped() -> AskedModel:
    """The adapter in use on its base, loaded once a process."""
    from doyen_finance import weights

    return load(weights.part(PART))


def logits(asked: AskedModel, targets: Sequence[Target], wording: int = 0, batch: int = 16) -> np.ndarray:
    """Log-odds [len(targets), C] of the three answers, in the order given."""
    import torch

    prompts: list[list[int]] = [
        asked.tokenizer.apply_chat_template(
            prompt(item, wording), add_generation_prompt=True, return_dict=False
        )
        for item in targets
    ]
    out = np.zeros((len(prompts), len(LABELS)), dtype=np.float32)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    pad = asked.tokenizer.pad_token_id
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        width = max(len(prompts[i]) for i in rows)
        ids_BT = torch.tensor([[pad] * (width - len(prompts[i])) + prompts[i] for i in rows])
        mask_BT = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in rows])
        with torch.inference_mode():
            logits_BV = asked.model(
                input_ids=ids_BT,
                attention_mask=mask_BT,
                position_ids=(mask_BT.cumsum(-1) - 1).clamp(min=0),
                logits_to_keep=1,
            ).logits[:, -1]
        out[rows] = logits_BV[:, list(asked.answers)].float().numpy()
    return out
