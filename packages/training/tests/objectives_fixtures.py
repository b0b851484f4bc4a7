"""Tiny things for the tests of the objectives: a model, its tokenizer, examples, a pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from doyen_testkit.models import tiny_tokenizer
from doyen_training.collate import Collator
from doyen_training.forward import learned_forward
from doyen_training.losses.term import Forward, Start, Term
from doyen_training.masking import Example


def tiny_model(seed: int = 0, layers: int = 2, heads: int = 4, kv_heads: int = 2, width: int = 32) -> Any:
    """A Llama of a few thousand weights over the vocabulary of ``tiny_tokenizer``."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tiny_tokenizer()), hidden_size=width, intermediate_size=48, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=64,
        )
    )  # fmt: skip


def examples(count: int = 3) -> list[Example]:
    """Samples of different lengths whose second half is learned."""
    made = []
    for number in range(count):
        ids = [(7 * number + 3 * place) % 300 + 3 for place in range(8 + 2 * number)]
        half = len(ids) // 2
        made.append(Example(f"e{number}", ids, [-100] * half + ids[half:]))
    return made


def start(model: Any, rows: Sequence[Example]) -> Start:
    """What a term sees before the first step."""
    return Start(model, tiny_tokenizer(), rows, torch.device("cpu"), 0)


def run(model: Any, rows: Sequence[Example], terms: Sequence[Term], **options: Any) -> Forward:
    """One pass over all of ``rows`` with the columns of ``terms``."""
    batch = Collator(rows, 0, terms)([{"indices": [i]} for i in range(len(rows))])
    return learned_forward(model, batch, **options)[0]
