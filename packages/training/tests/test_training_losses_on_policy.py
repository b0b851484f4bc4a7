"""On-policy distillation: prompts, the student's answers, the divergence on them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from objectives_fixtures import examples, run, start, tiny_model
from pydantic import TypeAdapter, ValidationError

from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.collate import Collator
from doyen_training.forward import learned_forward, score
from doyen_training.losses import LossPart
from doyen_training.losses.factuality import Factuality
from doyen_training.losses.on_policy import OnPolicy, OnPolicyPart, _rows, divergence
from doyen_training.masking import Example

ROWS = examples(4)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_the_divergence_is_that_of_trl(beta: float) -> None:
    from trl.experimental.gkd import GKDTrainer

    torch.manual_seed(0)
    teacher_NV, student_NV = torch.randn(5, 9), torch.randn(5, 9)
    wanted = GKDTrainer.generalized_jsd_loss(student_NV[None], teacher_NV[None], beta=beta, reduction="sum")
    torch.testing.assert_close(divergence(teacher_NV, student_NV, beta).sum(), wanted)
    assert float(divergence(teacher_NV, teacher_NV, beta).abs().max()) < 1e-6


def test_answers_begin_where_the_labels_do() -> None:
    model = tiny_model(0)
    term = OnPolicy(tiny_model(1), tiny_tokenizer(), answer_tokens=3)
    forward = run(model, ROWS, [])
    prompts = term._prompts(forward)
    assert prompts == [row.input_ids[: len(row.input_ids) // 2] for row in ROWS]
    torch.manual_seed(0)
    answers = term._answer(forward, prompts)
    assert all(1 <= len(answer) <= 3 for answer in answers)
    assert model.training
    inputs, rows_N = _rows(prompts, answers, "cpu")
    # Each scored position predicts the next token of the answer: the same as when the row is alone.
    together_NV = score(model.eval(), inputs, rows_N)[2]
    alone = model(input_ids=torch.tensor([prompts[3] + answers[3]])).logits[0]
    first = len(prompts[3]) - 1
    torch.testing.assert_close(together_NV[-len(answers[3]) :], alone[first : first + len(answers[3])])


def test_a_false_stretch_is_no_part_of_the_prompt() -> None:
    """The answer begins where its first token is learned or false; a later false stretch changes nothing."""
    rows = [
        Example("opens", [5, 6, 7, 8, 9, 10], [-100, -100, -100, -100, 9, 10], (2, 3)),
        Example("later", [11, 12, 13, 14, 15], [-100, -100, 13, -100, 15], (3,)),
        Example("none", [16, 17, 18, 19], [-100, -100, -100, 19]),
    ]
    term = OnPolicy(tiny_model(1), tiny_tokenizer(), answer_tokens=2)
    model = tiny_model(0)
    for terms in ([term], [Factuality(), term]):
        forward = run(model, rows, terms)
        assert term._prompts(forward) == [[5, 6], [11, 12], [16, 17, 18]]
    losses = [float(t.loss(forward, len(forward.labels_N)).detach()) for t in terms]
    assert all(loss > 0 for loss in losses)


def test_the_student_comes_nearer_to_its_teacher_and_only_it_moves() -> None:
    student, teacher = tiny_model(0), tiny_model(1)
    teacher.lm_head.weight.data *= 10
    fixed = [p.detach().clone() for p in teacher.parameters()]
    term = OnPolicy(teacher, tiny_tokenizer(), beta=0.0, answer_tokens=4)
    term.begin(start(student, ROWS))
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    torch.manual_seed(0)
    losses = []
    for _ in range(10):
        forward = run(student, ROWS, [term])
        loss = term.loss(forward, len(forward.labels_N))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert 1 <= term.metrics()["answer_tokens"] <= 4
    assert all(torch.equal(a, b) for a, b in zip(fixed, teacher.parameters(), strict=True))


def test_what_it_cannot_do_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(DoyenError, match="TRN-065"):
        OnPolicy(tiny_model(), tokenizer).begin(start(tiny_model(), ROWS))
    model = tiny_model()
    packed = Collator(ROWS, 0, packed=True)([{"indices": [0, 1]}])
    with pytest.raises(DoyenError, match="TRN-068"):
        OnPolicy(tiny_model(), tiny_tokenizer()).loss(learned_forward(model, packed)[0], 1)
    adapter: TypeAdapter[Any] = TypeAdapter(LossPart)
    assert isinstance(adapter.validate_python({"kind": "on-policy", "teacher": "path:x"}), OnPolicyPart)
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "on-policy", "teacher": "path:x", "beta": 2})
