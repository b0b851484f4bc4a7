from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from doyen_legal.corpora import Contract
from doyen_legal.evaluate.consistency import evaluate, judge, plant
from doyen_legal.evaluate.forms import FORMS
from doyen_legal.evaluate.inject import KINDS, Injection
from doyen_legal.evaluate.sketch import Range, Sketch
from doyen_legal.evaluate.voice import Edit
from doyen_schemas import Document, DoyenError


@dataclass(frozen=True)
class Report:
    kind: str
    start: int
    end: int
    related: tuple[tuple[int, int], ...] = ()
    note: bool = False


# "one [two] three four" with "two" replaced by "TWO TWO": offsets of "three" move by 4.
OLD = "one two three four"
INJECTION = Injection(
    "c", "one TWO TWO three four", "case-drift", "use_in_upper_case", (Range(4, 11),),
    (Edit(4, 7, "TWO TWO", (Range(0, 7),)),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "untouched", "found", "false", "raw"),
    [
        pytest.param([Report("case-drift", 8, 11)], [], True, {}, 0, id="overlap"),
        pytest.param([Report("case-drift", 18, 22, ((4, 7),))], [], True, {}, 0, id="by a related range"),
        pytest.param([Report("date-order", 4, 11)], [], False, {"date-order": 1}, 1, id="another kind"),
        pytest.param([Report("case-drift", 12, 17)], [], False, {"case-drift": 1}, 1, id="another place"),
        pytest.param([Report("case-drift", 12, 17)], [Report("case-drift", 8, 13)], False, {}, 1, id="known"),
        pytest.param(
            [Report("date-order", 12, 17)], [Report("case-drift", 8, 13)], False, {"date-order": 1}, 1,
            id="known under another kind",
        ),
        pytest.param([Report("case-drift", 12, 17, note=True)], [], False, {}, 0, id="a note is no alarm"),
        pytest.param([Report("unused-term", 12, 17)], [], False, {"unused-term": 1}, 0, id="unused apart"),
        pytest.param(
            [Report("case-drift", 4, 6), Report("case-drift", 8, 11)], [], True, {}, 0, id="two reports, one fault"
        ),
        pytest.param([], [Report("case-drift", 8, 13)], False, {}, 0, id="nothing reported"),
    ],
)  # fmt: skip
def test_reports_are_judged(
    reports: list[Report], untouched: list[Report], found: bool, false: dict[str, int], raw: int
) -> None:
    outcome = judge(INJECTION, reports, untouched)
    assert (outcome.found, dict(outcome.false), outcome.raw) == (found, false, raw)


def test_a_report_that_touches_written_text_is_new_even_where_one_was_known() -> None:
    known = [Report("conflicting-law", 8, 13)]
    report = Report("conflicting-law", 12, 17, ((4, 11),))
    law = Injection(
        "c", INJECTION.text, "conflicting-law", "law_full_clause", (Range(4, 11),), INJECTION.edits
    )
    assert judge(law, [report], known).found


def contracts(count: int) -> list[Contract]:
    sentences = [
        "The supplier shall deliver the goods to the buyer within thirty (30) days after receipt of the order.",
        "The buyer shall inspect each delivery and may reject goods that are not in conformity with the order.",
        "All payments shall be made in dollars to the account that the supplier designates in writing to the buyer.",
        "The supplier shall maintain insurance in the amount that is customary in the trade of the parties.",
    ]
    return [
        Contract(f"c{i}", f"Contract {i}. The parties agree as follows: " + " ".join(sentences * (4 + i)), ())
        for i in range(count)
    ]


def oracle(planted: dict[str, Injection]):
    """A checker that knows what was planted."""

    def check(document: Document) -> Sequence[Report]:
        injection = planted.get(document.text)
        return [Report(injection.kind, *injection.spans[0])] if injection else []

    return check


def planted(count: int, per_kind: int, seed: int) -> dict[str, Injection]:
    sketches = [Sketch(c) for c in contracts(count)]
    return {i.text: i for kind in KINDS for _, i in plant(sketches, kind, per_kind, seed)}


def test_an_oracle_scores_one_and_the_silent_zero() -> None:
    perfect = evaluate(contracts(3), seed=4, per_kind=4, check=oracle(planted(3, 4, 4)))
    assert (perfect["recall"], perfect["precision"], perfect["precision_raw"]) == (1.0, 1.0, 1.0)
    assert perfect["false_alarms_per_contract"] == 0.0
    assert perfect["ci95"]["recall"] == (1.0, 1.0)
    assert all(kind["recall"] == 1.0 for kind in perfect["per_kind"].values())
    assert perfect["n_contracts"] == 3
    assert perfect["n_faults"] == sum(kind["n"] for kind in perfect["per_kind"].values())

    assert perfect["recall_beyond_notes"] == 1.0

    silent = evaluate(contracts(3), seed=4, per_kind=4, check=lambda document: [])
    assert (silent["recall"], silent["precision"]) == (0.0, 0.0)
    assert silent["per_kind"]["undefined-term"]["precision"] is None


def test_a_checker_that_always_cries_is_charged() -> None:
    """Two alarms and a note on every text: none is new on the injected ones, all count on the untouched."""
    noise = [
        Report("dangling-section", 0, 8),
        Report("date-order", 0, 8),
        Report("unused-term", 0, 8),
        Report("case-drift", 0, 8, note=True),
    ]
    figures = evaluate(contracts(2), per_kind=2, check=lambda document: noise)
    assert figures["false_alarms_per_contract"] == 2.0
    assert figures["ci95"]["false_alarms_per_contract"] == (2.0, 2.0)
    assert figures["recall"] == figures["precision"] == figures["precision_raw"] == 0.0


def test_new_alarms_lower_precision() -> None:
    known = planted(3, 4, 0)
    perfect = oracle(known)

    def check(document: Document) -> Sequence[Report]:
        found = list(perfect(document))
        # One alarm that only the texts with a planted fault get.
        return [*found, Report("dangling-exhibit", 0, 8)] if found else found

    figures = evaluate(contracts(3), per_kind=4, check=check)
    assert figures["recall"] == 1.0
    counted = sum(i.kind != "unused-term" for i in known.values())
    assert figures["precision"] == pytest.approx(counted / (counted + len(known)))
    assert figures["per_kind"]["date-order"]["precision"] == 1.0


def test_faults_are_spread_over_contracts_and_forms() -> None:
    sketches = [Sketch(c) for c in contracts(4)]
    done = plant(sketches, "number-word-mismatch", 14, seed=2)
    assert Counter(index for index, _ in done).most_common()[0][1] <= 4
    used = Counter(i.form for _, i in done)
    assert set(used) == {form.__name__ for form in FORMS["number-word-mismatch"]}
    assert max(used.values()) <= 3
    assert done == plant(sketches, "number-word-mismatch", 14, seed=2)
    assert plant(sketches, "conflicting-law", 5, seed=2) == []


def test_limit_takes_the_first_contracts() -> None:
    assert evaluate(contracts(3), limit=1, per_kind=1, check=lambda document: [])["n_contracts"] == 1


def test_bad_input_is_named() -> None:
    with pytest.raises(DoyenError) as none:
        evaluate([], check=lambda document: [])
    assert none.value.code == "LEG-020"
    with pytest.raises(DoyenError, match="0") as few:
        evaluate(contracts(1), per_kind=0, check=lambda document: [])
    assert few.value.code == "LEG-023"
