"""Attention first, then logits: maps of layers and heads, stages, and what is refused."""

from __future__ import annotations

import pytest
import torch
from objectives_fixtures import examples, run, start, tiny_model
from pydantic import TypeAdapter

from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.losses import LossPart
from doyen_training.losses.attention import Attention, AttentionPart, layer_map, match_heads
from doyen_training.losses.factuality import Factuality
from doyen_training.masking import Example

ROWS = examples(4)


def test_layers_at_the_same_depth_follow_each_other() -> None:
    assert layer_map(3, 12) == [3, 7, 11]
    assert layer_map(2, 3) == [1, 2]
    assert layer_map(4, 4) == [0, 1, 2, 3]
    assert layer_map(4, 1) == [0, 0, 0, 0], "a deeper student: its first layers follow the teacher's first"


def test_neighbouring_heads_are_averaged() -> None:
    maps_BHTT = torch.rand(2, 6, 5, 5).softmax(-1)
    torch.testing.assert_close(match_heads(maps_BHTT, 6), maps_BHTT)
    torch.testing.assert_close(match_heads(maps_BHTT, 3)[:, 1], maps_BHTT[:, 2:4].mean(1))
    uneven_BHTT = match_heads(maps_BHTT, 4)
    torch.testing.assert_close(uneven_BHTT[:, 3], maps_BHTT.mean(1))
    for heads in (3, 4):
        torch.testing.assert_close(match_heads(maps_BHTT, heads).sum(-1), torch.ones(2, heads, 5))


@pytest.mark.parametrize("stage", [0, 1])
def test_a_student_that_is_its_teacher_has_no_loss(stage: int) -> None:
    term = Attention(tiny_model(1), tiny_tokenizer(), switch=stage)
    for seed, alike in ((1, True), (2, False)):
        student = tiny_model(seed)
        term.begin(start(student, ROWS))
        forward = run(student, ROWS, [term], output_attentions=True)
        loss = float(term.loss(forward, len(forward.labels_N)).detach())
        assert (abs(loss) < 1e-6) == alike


def test_the_first_stage_aligns_maps_of_a_smaller_student_and_the_second_logits() -> None:
    teacher, student = tiny_model(1, layers=4, heads=8, kv_heads=4), tiny_model(2, layers=2)
    with torch.no_grad():  # sharper maps than those of a model that has learned nothing
        for layer in teacher.model.layers:
            layer.self_attn.q_proj.weight *= 6
    term = Attention(teacher, tiny_tokenizer(), switch=8)
    term.begin(start(student, ROWS))
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    losses = []
    for step in range(12):
        term.step = step
        forward = run(student, ROWS, [term], output_attentions=True)
        loss = term.loss(forward, len(forward.labels_N))
        loss.backward()
        assert (student.lm_head.weight.grad is None) == (step < 8)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[7] < losses[0]
    assert losses[11] < losses[8]
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize("beside", [False, True])
def test_the_maps_of_false_tokens_are_not_followed(beside: bool) -> None:
    """Golden: the sum by hand over the tokens that are neither padding nor false."""
    rows = [
        Example("a", [5, 6, 7, 8, 9, 10], [-100, -100, -100, -100, 9, 10], (2, 3)),
        Example("b", [11, 12, 13, 14], [-100, -100, 13, 14]),
    ]
    student, term = tiny_model(2), Attention(tiny_model(1), tiny_tokenizer(), switch=1)
    with torch.no_grad():
        for layer in term.teacher.model.layers:
            layer.self_attn.q_proj.weight *= 6
    term.begin(start(student, rows))
    forward = run(student, rows, [term, Factuality()] if beside else [term], output_attentions=True)
    found = float(term.loss(forward, len(forward.labels_N)).detach())
    total, count = 0.0, 0
    for row in rows:
        ids = torch.tensor([row.input_ids])
        with torch.no_grad():
            maps = [model(ids, output_attentions=True).attentions for model in (term.teacher, student)]
        for place in set(range(len(row.input_ids))) - set(row.false):
            for p_1HTT, q_1HTT in zip(*maps, strict=True):
                p_HT, q_HT = (x[0, :, place, : place + 1].double() for x in (p_1HTT, q_1HTT))
                total += float((p_HT * (p_HT / q_HT).log()).sum(-1).mean()) / len(maps[0])
            count += 1
    assert found == pytest.approx(total / count, rel=1e-3)


def test_another_tokenizer_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(DoyenError, match="TRN-063"):
        Attention(tiny_model(), tokenizer).begin(start(tiny_model(), ROWS))
    part = TypeAdapter(LossPart).validate_python({"kind": "attention", "teacher": "path:x", "switch": 10})
    assert isinstance(part, AttentionPart)
