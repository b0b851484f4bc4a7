"""On-policy distillation through TRL, on a model of a few thousand weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from objectives_fixtures import tiny_model
from pydantic import ValidationError

from doyen_data import Message, Record
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.distillation.on_policy import OnPolicyPart, check_vocabularies, prompts, train_on_policy

RECORDS = [
    Record(
        id=f"r{n}",
        messages=(Message(role="user", content=f"Law {n}?"), Message(role="assistant", content="x")),
    )
    for n in range(4)
]


def test_two_steps_move_the_student_and_not_the_teacher(tmp_path: Path) -> None:
    student, teacher = tiny_model(0), tiny_model(1)
    before = [p.detach().clone() for p in student.parameters()]
    fixed = [p.detach().clone() for p in teacher.parameters()]
    trainer = train_on_policy(
        OnPolicyPart(kind="on-policy", teacher="path:x", answer_tokens=4),
        student,
        teacher,
        tiny_tokenizer(),
        tiny_tokenizer(),
        RECORDS,
        tmp_path,
        max_steps=2,
        learning_rate=1e-2,
        per_device_train_batch_size=2,
        logging_steps=1,
        save_strategy="no",
        bf16=False,
        use_cpu=True,
        disable_tqdm=True,
    )
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2
    assert all(0 < loss < 10 for loss in losses)
    assert any(not torch.equal(a, b) for a, b in zip(before, student.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(fixed, teacher.parameters(), strict=True))


def test_prompts_end_before_the_last_answer() -> None:
    assert prompts(RECORDS[:1]) == [{"prompt": [{"role": "user", "content": "Law 0?"}]}]
    with pytest.raises(ValidationError):
        OnPolicyPart(kind="on-policy", teacher="path:x", beta=2)


def test_other_vocabularies_are_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(DoyenError, match=r"TRN-065.*one tokenizer"):
        check_vocabularies(tiny_model(), tiny_tokenizer(), tiny_model(), tokenizer)
    wider = tiny_model()
    wider.resize_token_embeddings(400)
    with pytest.raises(DoyenError, match=r"TRN-065.*400"):
        check_vocabularies(tiny_model(), tiny_tokenizer(), wider, tiny_tokenizer())
