"""TAT-QA's scores on cases worked by hand from the authors' rules."""

from __future__ import annotations

import pytest

from doyen_finance.evaluate.tat_qa import unsupported
from doyen_finance.evaluate.tat_qa_metric import exact_match_and_f1, is_number, to_number
from doyen_finance.questions.floor import floor_answer
from doyen_finance.questions.model import Answer, Citation, Context
from doyen_finance.questions.tables import read_table


@pytest.mark.parametrize(
    ("gold", "kind", "gold_scale", "predicted", "scale", "exact", "f1"),
    [
        (["$1,496.5"], "span", "million", ["1,496.5"], "million", 1, 1.0),
        (["$1,496.5"], "span", "million", ["1,496.5"], "thousand", 0, 0.0),
        (-22.22, "arithmetic", "percent", ["-22.22"], "percent", 1, 1.0),
        (-22.22, "arithmetic", "percent", ["-0.2222"], "", 1, 1.0),
        (-22.22, "arithmetic", "percent", ["-22.22"], "", 0, 0.0),
        (["191%"], "span", "", ["191"], "percent", 1, 1.0),
        (["$(9,982)"], "span", "million", ["(9,982)"], "million", 1, 1.0),
        (["2019", "2018"], "multi-span", "", ["2018", "2019"], "", 1, 1.0),
        (["2019", "2018"], "multi-span", "", ["2019"], "", 0, 0.67),
        (["the Black-Scholes model"], "span", "", ["Black-Scholes model."], "", 1, 1.0),
        (["higher net sales"], "span", "", ["net sales"], "", 0, 0.8),
        (["higher net sales"], "span", "", ["net sales"], "million", 0, 0.67),
        ("3", "count", "", ["3"], "", 1, 1.0),
        (3, "count", "", ["4"], "", 0, 0.0),
        (12.0, "arithmetic", "million", ["12"], "million", 1, 1.0),
        (["14.2 million"], "span", "", ["14.2"], "million", 1, 1.0),
        (["x"], "span", "", None, "", 0, 0.0),
        (["x"], "span", "", [], "", 0, 0.0),
        ([], "span", "", ["x"], "", 0, 0.0),
        (None, "span", "", ["x"], "", 0, 0.0),
        ("Delaware", "span", "", ["Delaware"], "", 1, 1.0),
        ("three", "count", "", ["3"], "", 0, 0.0),
    ],
)  # fmt: skip
def test_exact_match_and_f1(
    gold: object, kind: str, gold_scale: str, predicted: list[str] | None, scale: str, exact: int, f1: float
) -> None:
    assert exact_match_and_f1(gold, kind, gold_scale, predicted, scale) == (exact, pytest.approx(f1))


def test_numbers_by_the_authors_rules() -> None:
    assert is_number("$1,000")
    assert is_number("14.2 million")
    assert not is_number("14.2 dollars")
    assert not is_number("nan")
    assert to_number("(38%)") == -0.38
    assert to_number("(38)%") == -38  # theirs: the sign must follow a digit
    assert to_number("1.5 billion") == 1_500_000_000
    assert to_number(".5") is None


def test_unsupported_numbers_are_found() -> None:
    context = Context(read_table([["", "2019", "2018"], ["Sales", "10", "4"]]), ())
    cells = (Citation("cell", "10", 1, 1, "Sales", "2019"), Citation("cell", "4", 1, 2, "Sales", "2018"))
    assert unsupported(Answer(("6",), "", "difference", 1.0, ("6",), cells), context) == 0
    assert unsupported(Answer(("7",), "", "difference", 1.0, ("7",), cells), context) == 1
    assert unsupported(Answer(("10",), "", "cell", 1.0, (), cells[:1]), context) == 0
    assert unsupported(Answer(("11",), "", "cell", 1.0, (), cells[:1]), context) == 1
    assert unsupported(Answer(None, "", "cell", 0.1, (), cells), context) == 0


def test_the_floor_answers_by_cue_and_shared_words() -> None:
    grid = [["(in millions)", "2018", "2019"], ["Sales", "4", "10"], ["Costs", "1", "2"]]
    context = Context(read_table(grid), ("Sales rose due to demand.",))
    got = floor_answer("What is the change in sales from 2018 to 2019?", context)
    assert (got.answer, got.scale) == (("6",), "million")
    assert floor_answer("What was the cost in 2019?", context).answer == ("2",)
    assert floor_answer("Why did sales rise?", context).answer == ("Sales rose due to demand.",)
