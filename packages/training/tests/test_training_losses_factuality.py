"""What is false in an answer is found, is never learned, and becomes less likely."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from objectives_fixtures import run, start, tiny_model

from doyen_data import Message, Record, read_records, write_records
from doyen_modeling.base import load_base
from doyen_modeling.methods import load_adapter
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama, tiny_tokenizer
from doyen_training.collate import Collator
from doyen_training.falsehood import false_ranges
from doyen_training.forward import learned_forward
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.factuality import Factuality, unlikelihood
from doyen_training.masking import IGNORED, Example, encode, fit
from doyen_training.recipe import Recipe
from doyen_training.run import train

ROWS = [
    Example("a", [5, 6, 7, 8, 9, 10], [-100, -100, 7, -100, 9, 10], (3,)),
    Example("b", [11, 12, 13, 14], [-100, -100, 13, 14]),
    Example("c", [15, 16, 17, 18, 19], [-100, -100, 17, -100, -100], (3, 4)),
]


def asked(*turns: tuple[str, str, Any], id: str = "r") -> Record:
    return Record(
        id=id,
        messages=tuple(
            message
            for question, answer, false in turns
            for message in (
                Message(role="user", content=question),
                Message(role="assistant", content=answer, false=false),
            )
        ),
    )


def texts(example: Example) -> tuple[str, str]:
    """What is learned and what is false, as text."""
    tokenizer = tiny_tokenizer()
    learned = [token for token in example.labels if token != IGNORED]
    return str(tokenizer.decode(learned)), str(
        tokenizer.decode([example.input_ids[i] for i in example.false])
    )


def test_marked_stretches_are_false_and_not_learned() -> None:
    record = asked(("When?", "in 60 dáys", [[3, 5]]), ("60 when?", "60 60", [[3, 5]]))
    (example,) = encode([record], tiny_tokenizer())
    assert texts(example) == ("in  dáys<|im_end|>60 <|im_end|>", "6060")
    (last,) = encode([record], tiny_tokenizer(), "last-turn")
    assert texts(last) == ("60 <|im_end|>", "60"), "a turn that is not learned is not penalised either"


def test_figures_that_no_question_holds_are_false() -> None:
    record = asked(("Due in 30 days, USD 1,250.50.", "30 days and 1250.50, not 1251 or 30.5", None))
    (ranges,) = false_ranges(record, figures=True)
    answer = record.messages[1].content
    assert [answer[start:end] for start, end in ranges] == ["1251", "30.5"]
    assert false_ranges(record, figures=False) == [[]]
    (example,) = encode([record], tiny_tokenizer(), figures=True)
    assert texts(example)[1] == "125130.5"
    # The assistant's own figures are no source.
    later = asked(("?", "7", None), ("?", "7 and 8", None))
    assert false_ranges(later, figures=True) == [[(0, 1)], [(0, 1), (6, 7)]]


@given(st.text("ab 12,.é\n", min_size=1, max_size=30), st.data())
def test_every_character_of_a_marked_stretch_is_covered(answer: str, data: st.DataObject) -> None:
    start_at = data.draw(st.integers(0, len(answer) - 1))
    end = data.draw(st.integers(start_at + 1, len(answer)))
    record = asked(("?", answer, [[start_at, end]]))
    (example,) = encode([record], tiny_tokenizer())
    found = texts(example)[1]
    assert answer[start_at:end] in found
    assert len(found) <= end - start_at + 8, "tokens at the edges may reach beyond, not more"
    assert all(example.labels[i] == IGNORED for i in example.false)


@pytest.mark.parametrize("false", [[[0, 9]], [[2, 2]], [[2, 3], [1, 2]], [[-1, 1]], []])
def test_stretches_outside_the_answer_are_refused(false: Any, tmp_path: Path) -> None:
    line = {
        "id": "x",
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": "four", "false": false},
        ],
    }
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DoyenError, match=r"DAT-002: .* line 1: .*false"):
        read_records(tmp_path / "train.jsonl")
    with pytest.raises(ValueError, match="only an assistant's turn can be marked as false"):
        Message(role="user", content="four", false=((0, 1),))


def test_a_template_that_changes_the_answer_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim }}"
        "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    with pytest.raises(DoyenError, match=r"TRN-023: .* record r"):
        encode([asked(("?", " 60 ", [[1, 3]]))], tokenizer)


def test_a_cut_record_keeps_the_false_tokens_that_are_left() -> None:
    (cut,), _ = fit([Example("a", list(range(9)), [-100, 1, 2, -100, 4, -100, 6, 7, 8], (3, 5))], 5, 0.9)
    assert (cut.false, len(cut.input_ids)) == ((3,), 5)


def test_the_penalty_is_that_of_the_formula_for_the_plain_model() -> None:
    """Golden: each sample alone through the bare model, the probability as a Python float, -log(1 - p)."""
    model = tiny_model()
    wanted, chances = 0.0, []
    for row in ROWS:
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0].double()
        for place in row.false:
            weights = [math.exp(float(x)) for x in logits[place - 1]]
            chances.append(weights[row.input_ids[place]] / sum(weights))
            wanted -= math.log(1 - chances[-1])
    term = Factuality()
    forward = run(model, ROWS, [term])
    assert forward.false_F is not None
    assert forward.false_F.tolist() == [8, 18, 19]
    assert float(term.loss(forward, 7).detach()) == pytest.approx(wanted / 7, rel=1e-4)
    metrics = term.metrics()
    assert metrics["tokens"] == 3
    assert metrics["probability"] == pytest.approx(sum(chances) / 3, rel=1e-4)
    assert term.metrics() == {}
    # The labels are scored as without the term.
    plain = run(model, ROWS, [])
    torch.testing.assert_close(forward.logits_NV, plain.logits_NV)
    assert plain.false_FV is None


def test_packed_rows_have_the_same_false_tokens() -> None:
    model, term = tiny_model(), Factuality()
    batch = Collator(ROWS, 0, [term], packed=True)([{"indices": [0, 2]}, {"indices": [1]}])
    forward, _ = learned_forward(model, batch)
    apart = run(model, [ROWS[0], ROWS[2]], [term])
    assert forward.false_FV is not None
    assert apart.false_FV is not None
    torch.testing.assert_close(forward.false_FV, apart.false_FV, atol=1e-5, rtol=1e-5)


def test_a_false_first_token_of_a_packed_sample_is_not_asked_of_its_neighbour() -> None:
    model, term = tiny_model(), Factuality()
    rows = [ROWS[1], Example("first", [15, 16, 17], [-100, 16, 17], (0,))]
    batch = Collator(rows, 0, [term], packed=True)([{"indices": [0, 1]}])
    assert not batch["false"].any()
    forward, _ = learned_forward(model, batch)
    assert forward.false_F is not None
    assert len(forward.false_F) == 0
    assert float(term.loss(forward, 1).detach()) == 0


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_the_gradient_is_right_and_bounded_where_the_token_is_certain(scale: float) -> None:
    torch.manual_seed(0)
    logits_FV = (torch.randn(4, 7, dtype=torch.float64) * scale).requires_grad_()
    tokens_F = logits_FV.argmax(-1)
    assert torch.autograd.gradcheck(lambda x: unlikelihood(x, tokens_F), logits_FV)
    unlikelihood(logits_FV, tokens_F).sum().backward()
    assert logits_FV.grad is not None
    # d/dz of the token itself is its probability.
    torch.testing.assert_close(
        logits_FV.grad.gather(1, tokens_F[:, None]),
        logits_FV.detach().softmax(-1).gather(1, tokens_F[:, None]),
    )


def test_training_lowers_the_false_tokens_and_keeps_the_labels() -> None:
    """A model that has learned the false tokens too, then ten steps with and without the penalty."""
    learned = [Example(row.id, row.input_ids, [*row.labels[:2], *row.input_ids[2:]]) for row in ROWS]
    found = {}
    for weight in (0.0, 1.0):
        model, term = tiny_model(), Factuality()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for rows, steps in ((learned, 15), (ROWS, 10)):
            for _ in range(steps):
                forward = run(model, rows, [term])
                count = len(forward.labels_N)
                loss = CrossEntropy().loss(forward, count) + weight * term.loss(forward, count)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        term.metrics()
        forward = run(model, ROWS, [term])
        term.loss(forward, 1)
        found[weight] = float(CrossEntropy().loss(forward, len(forward.labels_N))), term.metrics()
    assert found[0.0][1]["probability"] > 0.3
    assert found[1.0][1]["probability"] < 0.1 * found[0.0][1]["probability"]
    assert found[1.0][0] == pytest.approx(found[0.0][0], abs=0.1)


def test_a_batch_without_false_tokens_costs_nothing_and_a_run_without_any_is_refused() -> None:
    model, term = tiny_model(), Factuality()
    loss = term.loss(run(model, ROWS[1:2], [term]), 2)
    assert float(loss) == 0
    loss.backward()
    with pytest.raises(DoyenError, match=r"TRN-024: .* none of the 1 training records"):
        term.begin(start(model, ROWS[1:2]))
    term.begin(start(model, ROWS))


def test_a_recipe_switches_it_on_and_resumes(tmp_path: Path) -> None:
    tiny_llama(tmp_path / "base")
    records = [asked((f"Due in {i} days?", f"in {i + 10} days", None), id=f"r{i}") for i in range(6)]
    write_records(tmp_path / "train.jsonl", records)
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"source": f"path:{tmp_path / 'base'}"},
            "data": {"train": "train.jsonl", "dev": "train.jsonl", "max_length": 128},
            "method": {"kind": "lora", "rank": 2},
            "loss": [{"kind": "cross-entropy"}, {"kind": "factuality", "weight": 0.5, "figures": True}],
            "run": {"max_steps": 3, "batch_size": 2, "log_steps": 1, "save_steps": 1, "precision": "float32"},
        }
    )
    train(recipe, tmp_path, tmp_path / "whole")
    train(recipe, tmp_path, tmp_path / "parts", minutes=0)
    train(recipe, tmp_path, tmp_path / "parts", resume=True)
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "whole" / weights).read_bytes() == (tmp_path / "parts" / weights).read_bytes()
    load_adapter(load_base(f"path:{tmp_path / 'base'}"), tmp_path / "whole" / "adapter")
    events = [json.loads(line) for line in (tmp_path / "whole" / "events.jsonl").read_text().splitlines()]
    steps = [event for event in events if "loss" in event]
    assert all(0 < event["factuality/probability"] < 1 and event["factuality/tokens"] == 4 for event in steps)
