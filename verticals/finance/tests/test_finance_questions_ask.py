"""doyen finance ask and the TAT-QA protocol with the shipped weights."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doyen_finance.cli import app
from doyen_finance.evaluate.tat_qa import evaluate_file
from doyen_finance.questions.ask import ask_contexts
from doyen_finance.questions.sources import of_report, read_contexts
from doyen_finance.statements.model import Column, PageSize, Period, Report, Row, Statement, Value
from doyen_schemas.document import Box

LABELS = ("Revenue", "Cost of revenue", "Gross profit", "Net income")
PRINTED = (("1,200.5", "1,000.5"), ("(700.0)", "(600.0)"), ("500.5", "400.5"), ("90.0", "120.0"))


def box(row: int, column: int) -> Box:
    return Box(page=3, x0=100.0 * column, top=20.0 * row, x1=100.0 * column + 60, bottom=20.0 * row + 10)


@pytest.fixture(scope="module")
def report() -> Report:
    periods = [Period(start=date(year, 1, 1), end=date(year, 12, 31)) for year in (2019, 2018)]
    values = tuple(
        Value(
            row=r, column=c, raw=text, value=Decimal(text.strip("()").replace(",", "")) * (-1 if "(" in text else 1),
            is_nil=False, unit="currency", scale=1_000_000, currency="USD", period=periods[c], box=box(r, c + 1),
        )
        for r, line in enumerate(PRINTED)
        for c, text in enumerate(line)
    )  # fmt: skip
    statement = Statement(
        kind="income", scope="consolidated", title="Consolidated statements of income", pages=(3,), units="In millions",
        currency="USD", columns=tuple(Column(index=c, label=str(p.end.year), period=p) for c, p in enumerate(periods)),
        rows=tuple(Row(index=r, label=label, box=box(r, 0)) for r, label in enumerate(LABELS)), values=values,
    )  # fmt: skip
    return Report(
        name="r.pdf", sha256="0" * 64, page_count=9, statements=(statement,),
        pages=(PageSize(number=3, width=600, height=800),),
    )  # fmt: skip


def test_a_parsed_report_is_answered_with_page_and_box(report: Report) -> None:
    found = ask_contexts("What was the change in revenue from 2018 to 2019?", of_report(report))
    assert found.answer == ("200",)
    assert found.scale == "million"
    assert found.steps[0] == "difference: 1,200.5 − 1,000.5"
    assert [(c.page, c.label, c.text) for c in found.citations] == [
        (3, "Revenue", "1,200.5"),
        (3, "Revenue", "1,000.5"),
    ]
    assert found.citations[0].box == (100.0, 0.0, 160.0, 10.0)
    assert 0.2 <= found.confidence <= 1


def test_a_report_round_trips_through_json(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "parsed.json"
    path.write_text(report.model_dump_json(), encoding="utf-8")
    assert read_contexts(path) == of_report(report)


def test_the_command_answers_and_refuses(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "parsed.json"
    path.write_text(report.model_dump_json(), encoding="utf-8")
    question = "In which year was net income larger?"
    result = CliRunner().invoke(app, ["ask", question, "--report", str(path), "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["answer"] == ["2018"]
    assert {cited["page"] for cited in answer["citations"]} == {3}
    told = CliRunner().invoke(
        app, ["ask", "Who won the cup final on Saturday, and why?", "--report", str(path)]
    )
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith("Refused.")


def test_the_protocol_counts_and_scores(tmp_path: Path) -> None:
    def question(n: int, text: str, answer: object, kind: str, scale: str) -> dict[str, object]:
        return {
            "uid": str(n), "question": text, "answer": answer, "answer_type": kind, "answer_from": "table", "scale": scale,
            "derivation": "", "rel_paragraphs": [],
        }  # fmt: skip

    grid = [
        ["(In millions)", "2019", "2018"],
        *([label, *line] for label, line in zip(LABELS, PRINTED, strict=True)),
    ]
    entry = {
        "table": {"uid": "new", "table": grid},
        "paragraphs": [{"uid": "p", "order": 1, "text": "Revenue and income by year."}],
        "questions": [
            question(1, "What was the change in revenue from 2018 to 2019?", 200, "arithmetic", "million"),
            question(2, "What was the net income in 2018?", ["120.0"], "span", "million"),
            question(3, "Where is the company registered?", ["Delaware"], "span", ""),
        ],
    }
    path = tmp_path / "gold.json"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    figures = evaluate_file(path)
    assert figures["n"] == 3
    assert figures["seen_contexts"] == 0
    assert figures["em"] == pytest.approx(0.6667)
    assert figures["unsupported_numbers"] == 0
    assert figures["by_answer_type"]["arithmetic"] == {"n": 1, "em": 1.0, "f1": 1.0}
    assert figures["ci95"]["em"] is not None
    assert evaluate_file(path, limit=1)["n"] == 1

    no_values = {
        **entry,
        "table": {"uid": "words", "table": [["Place", "Registered"], ["Company", "Delaware"]]},
    }
    no_table = {**entry, "table": {"uid": "none", "table": []}, "paragraphs": []}
    odd = {**question(4, " ", None, "span", ""), "scale": None, "facts": [], "mapping": {}}
    del odd["derivation"], odd["answer_from"]
    path.write_text(json.dumps([entry, no_values, no_table, {**entry, "questions": [odd]}]), encoding="utf-8")
    figures = evaluate_file(path)
    assert figures["n"] == 10
    assert figures["refused"] >= 4
