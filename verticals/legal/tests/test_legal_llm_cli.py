from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doyen_data import read_records
from doyen_legal.cli.reviewer import app
from doyen_legal.labels import LABELS
from doyen_legal.llm import measure, reviewer
from doyen_legal.llm.questions import QUESTIONS
from doyen_legal.llm.reviewer import Answer


@pytest.fixture
def cuad(tmp_path: Path) -> str:
    """Three contracts with one clause a label, in CUAD's format."""
    rows = []
    for number in range(3):
        text, spans = "", []
        for index, label in enumerate(LABELS):
            text += f"The parties met and talked at length about matter {index}. " * 12
            clause = f"Clause {index} of contract {number} provides for {QUESTIONS[label]}, named {label}."
            spans.append({"label": label, "start": len(text), "end": len(text) + len(clause), "text": clause})
            text += clause + "\n"
        rows.append(json.dumps({"id": f"c{number}", "text": text, "spans": spans}))
    (tmp_path / "cuad.jsonl").write_text("\n".join(rows))
    return str(tmp_path / "cuad.jsonl")


def test_records_are_written_for_train_and_dev(cuad: str, tmp_path: Path) -> None:
    args = [
        "records",
        "--train",
        cuad,
        "--data",
        cuad,
        "--out",
        str(tmp_path / "out"),
        "--dev-records",
        "5",
        "--json",
    ]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    printed = json.loads(result.stdout)
    assert printed["dev"]["records"] == len(read_records(tmp_path / "out" / "dev.jsonl")) == 5
    assert printed["train"]["records"] == len(read_records(tmp_path / "out" / "train.jsonl"))


def test_measure_prints_one_json_object(cuad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(reviewer, "load_reviewer", lambda adapter: asked.append(adapter))
    monkeypatch.setattr(measure, "review_windows", lambda requests, _: [Answer((), 0, 0.0)] * len(requests))
    args = ["measure", "--train", cuad, "--data", cuad, "--questions", "82", "--json"]
    figures = json.loads(CliRunner().invoke(app, args, catch_exceptions=False).stdout)
    assert (figures["questions"], figures["f1"], figures["false_none_rate"]) == (82, 0.0, 1.0)
    assert "f1" in CliRunner().invoke(app, [*args[:-1], "--untuned"], catch_exceptions=False).stdout
    assert asked == [reviewer.ADAPTER, None]
