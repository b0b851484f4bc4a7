"""Rules between statements: read, weighed as the paper has them, held by training, resumed in their place."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from objectives_fixtures import examples, run, start, tiny_model

from doyen_data import Message, Record, write_records
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama, tiny_tokenizer
from doyen_training.losses.consistency import Consistency, ConsistencyPart, implication
from doyen_training.masking import IGNORED, encode
from doyen_training.recipe import Recipe
from doyen_training.run import train

ROWS = examples(3)


def statement(name: str, question: str, answer: str) -> Record:
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Record(id=name, messages=turns)


STATEMENTS = [
    statement("ab", "A?", "yes"),
    statement("bc", "Does b hold c?", "yes"),
    statement("ac", "And c of a, then?", "no, a does not hold c at all"),
]
# Transitivity, and a symmetry as two rules.
RULES = [((0, 1), 2), ((0,), 1), ((1,), 0)]


def opinionated() -> Any:
    """A model that is far from giving every token the same probability."""
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return model


def answer_log(model: Any, record: Record) -> float:
    """log p of the answer: this record alone through the bare model, token after token, in Python floats."""
    (example,) = encode([record], tiny_tokenizer(), "last-turn")
    with torch.no_grad():
        logits = model(torch.tensor([example.input_ids])).logits[0].double()
    total = 0.0
    for place, label in enumerate(example.labels):
        if label != IGNORED:
            weights = [math.exp(float(x)) for x in logits[place - 1]]
            total += math.log(weights[label] / sum(weights))
    return total


def test_the_loss_is_that_of_the_formula_for_the_plain_model() -> None:
    model = opinionated()
    logs = [answer_log(model, record) for record in STATEMENTS]
    wanted = [max(0.0, sum(logs[i] for i in premises) - logs[then]) for premises, then in RULES]
    assert sum(wanted) > 0.5
    term = Consistency(STATEMENTS, RULES, batch=8)
    term.begin(start(model, ROWS))
    forward = run(model, ROWS, [])
    found = float(term.loss(forward, 2 * len(forward.labels_N)).detach())
    assert found == pytest.approx(sum(wanted) / 3 / 2, rel=1e-5)
    assert term.metrics() == {
        "violation": pytest.approx(sum(wanted) / 3, rel=1e-5),
        "broken": sum(value > 0 for value in wanted) / 3,
    }
    assert term.metrics() == {}


def test_the_implication_of_the_paper() -> None:
    """Product t-norm: 0.9 and 0.8 hold together with 0.72, which 0.5 breaks by log(0.72/0.5), and 0.75 does not."""
    premises = torch.tensor([0.9, 0.8], dtype=torch.float64).log()
    assert float(implication(premises, torch.tensor(0.5).double().log())) == pytest.approx(math.log(1.44))
    assert float(implication(premises, torch.tensor(0.75).double().log())) == 0
    one, other = torch.tensor([0.9]).log(), torch.tensor([0.6]).log()
    both = implication(one, other[0]) + implication(other, one[0])
    assert float(both) == pytest.approx(abs(math.log(0.9) - math.log(0.6)), rel=1e-5), "symmetry is two rules"


def test_the_gradient_pulls_the_conclusion_up_and_the_premises_down() -> None:
    premises = torch.tensor([-0.1, -0.2], dtype=torch.float64, requires_grad=True)
    conclusion = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(implication, (premises, conclusion))
    implication(premises, conclusion).backward()
    assert premises.grad is not None
    assert conclusion.grad is not None
    assert premises.grad.tolist() == [1, 1]
    assert float(conclusion.grad) == -1
    held = torch.tensor(-0.2, dtype=torch.float64, requires_grad=True)
    implication(premises, held).backward()
    assert held.grad is not None
    assert float(held.grad) == 0, "a rule that holds asks for nothing"


def test_training_holds_the_rules() -> None:
    model = opinionated()
    term = Consistency(STATEMENTS, RULES, batch=3)
    term.begin(start(model, ROWS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    violations = []
    for _ in range(30):
        forward = run(model, ROWS, [])
        term.loss(forward, len(forward.labels_N)).backward()
        optimizer.step()
        optimizer.zero_grad()
        violations.append(term.metrics()["violation"])
    assert violations[-1] < 0.1 * violations[0]
    logs = [answer_log(model, record) for record in STATEMENTS]
    assert abs(logs[0] - logs[1]) < 1.0


def test_every_rule_has_its_turn_and_the_place_is_state() -> None:
    term = Consistency(STATEMENTS, [((0,), 1), ((1,), 2), ((2,), 0), ((1,), 0), ((0,), 2)], batch=2)
    term.begin(start(tiny_model(), ROWS))
    drawn = [term._rule(place) for place in range(10)]
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == sorted(term.rules)
    assert drawn[:5] != drawn[5:]
    forward = run(tiny_model(), ROWS, [])
    first = [float(term.loss(forward, 1).detach()) for _ in range(4)]
    again = Consistency(STATEMENTS, term.rules, batch=2)
    again.begin(start(tiny_model(), ROWS))
    for _ in range(2):
        again.loss(forward, 1)
    later = Consistency(STATEMENTS, term.rules, batch=2)
    later.begin(start(tiny_model(), ROWS))
    later.load_state_dict(again.state_dict())
    assert [float(later.loss(forward, 1)) for _ in range(2)] == first[2:]


def test_the_rules_are_shuffled_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted(random.Random):
        def __init__(self, seed: int) -> None:
            made.append(seed)
            super().__init__(seed)

    term = Consistency(STATEMENTS, [((0,), 1), ((1,), 2), ((2,), 0)], batch=2)
    term.begin(start(tiny_model(), ROWS))
    monkeypatch.setattr("doyen_training.losses.consistency.random.Random", Counted)
    drawn = [term._rule(place) for place in range(9)]
    assert made == [0, 1, 2]
    assert all(sorted(drawn[i : i + 3]) == sorted(term.rules) for i in (0, 3, 6))


def test_statements_that_are_too_long_are_refused() -> None:
    longest = max(len(e.input_ids) for e in encode(STATEMENTS, tiny_tokenizer(), "last-turn"))
    begin = start(tiny_model(), ROWS)
    Consistency(STATEMENTS, RULES).begin(replace(begin, max_length=longest))
    with pytest.raises(
        DoyenError, match=rf"TRN-004: 1 of 3 statements exceed .* \(longest {longest}; first: ac\)"
    ):
        Consistency(STATEMENTS, RULES).begin(replace(begin, max_length=longest - 1))


def test_statements_with_marked_turns_are_refused() -> None:
    turns = (Message(role="user", content="A?"), Message(role="assistant", content="yes", train=True))
    with pytest.raises(DoyenError, match="TRN-041"):
        Consistency([Record(id="m", messages=turns)], [((0,), 0)]).begin(start(tiny_model(), ROWS))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "cannot be read"),
        ("\n", "holds no rule"),
        ('{"if": ["ab"], "then": "bc"}\n{"if": [], "then": "bc"}\n{broken', r"2 wrong line\(s\): line 2: .*line 3: "),
        ('{"if": ["ab"], "then": "zz"}', "line 1: no statement has the id 'zz'"),
        ('{"if": ["ab"], "then": "bc", "unless": "ac"}', "line 1: Extra inputs"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused(tmp_path: Path, text: str | None, part: str) -> None:
    write_records(tmp_path / "statements.jsonl", STATEMENTS)
    if text is not None:
        (tmp_path / "rules.jsonl").write_text(text)
    asked = ConsistencyPart(kind="consistency", statements="statements.jsonl", rules="rules.jsonl")
    with pytest.raises(DoyenError, match=f"TRN-069: rules.jsonl .*{part}"):
        asked.build(tmp_path)
    with pytest.raises(DoyenError, match="DAT-001"):
        asked.model_copy(update={"statements": "nowhere.jsonl"}).build(tmp_path)


@pytest.mark.parametrize("packing", [False, True])
def test_a_recipe_switches_it_on_and_resumes(tmp_path: Path, packing: bool) -> None:
    tiny_llama(tmp_path / "base")
    write_records(tmp_path / "train.jsonl", [statement(f"r{i}", f"Law {i}?", "NONE") for i in range(6)])
    write_records(tmp_path / "statements.jsonl", STATEMENTS)
    lines = [
        {"if": [STATEMENTS[i].id for i in premises], "then": STATEMENTS[then].id} for premises, then in RULES
    ]
    (tmp_path / "rules.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"source": f"path:{tmp_path / 'base'}"},
            "data": {"train": "train.jsonl", "max_length": 128, "packing": packing},
            "method": {"kind": "lora", "rank": 2},
            "loss": [
                {"kind": "cross-entropy"},
                {"kind": "consistency", "weight": 0.2, "statements": "statements.jsonl",
                 "rules": "rules.jsonl", "batch": 2},
            ],
            "run": {"max_steps": 3, "batch_size": 2, "log_steps": 1, "save_steps": 1, "precision": "float32"},
        }
    )  # fmt: skip
    short = recipe.model_copy(update={"data": recipe.data.model_copy(update={"max_length": 48})})
    with pytest.raises(DoyenError, match="TRN-004: 1 of 3 statements exceed max_length = 48"):
        train(short, tmp_path, tmp_path / "short")
    train(recipe, tmp_path, tmp_path / "whole")
    train(recipe, tmp_path, tmp_path / "parts", minutes=0)
    train(recipe, tmp_path, tmp_path / "parts", resume=True)
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "whole" / weights).read_bytes() == (tmp_path / "parts" / weights).read_bytes()
    events = [json.loads(line) for line in (tmp_path / "whole" / "events.jsonl").read_text().splitlines()]
    assert all(event["consistency/violation"] >= 0 for event in events if "loss" in event)
