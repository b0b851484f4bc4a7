"""Distillation from a teacher with another tokenizer: alignment by text, sorted probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from objectives_fixtures import run as one_pass
from objectives_fixtures import start, tiny_model

from doyen_data import Message, Record
from doyen_modeling.base import LoadedBase
from doyen_schemas import BaseRef, DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.distillation.align import aligned_rows
from doyen_training.distillation.cache import TeacherCache, cache_teacher
from doyen_training.distillation.teacher import cache_for
from doyen_training.losses import DistillationPart, build
from doyen_training.losses.cross_tokenizer import CrossTokenizer, sorted_distance
from doyen_training.masking import Example, encode

REF = BaseRef(source="path:teacher", weights_sha256="0" * 64, tokenizer_sha256="1" * 64)
RECORDS = [
    Record(
        id=f"r{n}",
        messages=(
            Message(role="user", content="Which law?"),
            Message(role="assistant", content=answer),
        ),
    )
    for n, answer in enumerate(("This agreement is governed by New York.", "Either party – none."))
]


def byte_tokenizer() -> Any:
    """The tiny tokenizer without merges: every byte is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = tiny_tokenizer()
    vocabulary = {t: i for i, t in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])}
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[letter] = len(vocabulary)
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    made = type(tokenizer)(tokenizer_object=core, pad_token="<|im_end|>", eos_token="<|im_end|>")
    made.chat_template = tokenizer.chat_template
    return made


def learned(example: Example) -> list[int]:
    return [label for label in example.labels[1:] if label != -100]


def test_positions_with_the_same_text_before_them_are_paired() -> None:
    ours, theirs = tiny_tokenizer(), byte_tokenizer()
    for mine, other in zip(encode(RECORDS, ours), encode(RECORDS, theirs), strict=True):
        pairs = aligned_rows(mine, ours, other, theirs)
        assert len(pairs) == len(learned(mine))
        assert pairs[0] == 0
        kept = [place for place in pairs if place >= 0]
        assert kept == sorted(set(kept))
        assert len(kept) >= len(pairs) - 3  # bytes stop at every border of ours, but not within a character
        for number, place in enumerate(pairs):
            if place >= 0:
                assert ours.decode(learned(mine)[:number]) == theirs.decode(learned(other)[:place])
        # Both end the answer at the same place.
        assert learned(other)[pairs[-1]] == theirs.eos_token_id


def test_a_tokenizer_is_aligned_with_itself() -> None:
    for example in encode(RECORDS, tiny_tokenizer()):
        pairs = aligned_rows(example, tiny_tokenizer(), example, tiny_tokenizer())
        assert [p for p in pairs if p >= 0] == [n for n, p in enumerate(pairs) if p >= 0]


def test_other_numbers_of_turns_are_refused() -> None:
    first, second = encode(RECORDS, tiny_tokenizer())
    broken = Example(second.id, second.input_ids, [-100] * len(second.labels))
    with pytest.raises(DoyenError, match="TRN-062"):
        aligned_rows(first, tiny_tokenizer(), broken, tiny_tokenizer())


def test_the_distance_is_zero_for_one_shape_whatever_the_names() -> None:
    torch.manual_seed(0)
    logits_NV = torch.randn(4, 9)
    shuffled_NV = logits_NV[:, torch.randperm(9)]
    top_NK = shuffled_NV.log_softmax(-1).topk(5).values
    tail_N = (1 - top_NK.exp().sum(-1)).log()
    assert float(sorted_distance(top_NK, tail_N, logits_NV).max()) < 1e-5
    distance_N = sorted_distance(top_NK, tail_N, 3 * logits_NV)
    assert bool(((distance_N > 0) & (distance_N <= 2)).all())


def test_the_cache_is_routed_by_the_tokenizer_and_the_student_learns_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = tiny_tokenizer(), byte_tokenizer()
    model = tiny_model(1)
    model.lm_head.weight.data *= 20  # surer than one that has learned nothing
    teacher = LoadedBase(model.eval(), theirs, REF)
    rows = encode(RECORDS, ours)
    with pytest.raises(DoyenError, match="TRN-062"):
        cache_teacher(teacher, rows, ours, tmp_path / "none")
    monkeypatch.setattr("doyen_training.distillation.teacher.load_teacher", lambda *_: teacher)
    part = DistillationPart(kind="distillation", teacher="path:teacher", top=16)
    cache_for(part, RECORDS, rows, ours, tmp_path)
    assert TeacherCache(tmp_path / "teacher").alignment == "text"
    term = build(part, tmp_path)
    assert isinstance(term, CrossTokenizer)
    student = tiny_model(2)
    term.begin(start(student, rows))
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        forward = one_pass(student, rows, [term])
        loss = term.loss(forward, len(forward.labels_N))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert 0.5 < term.metrics()["aligned"] <= 1
