from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from doyen_documents.bench import letters, main


def _data(tmp_path: Path, make_pdf: Any) -> list[str]:
    path = make_pdf([[(72, 700, "The law of Ohio gov-"), (72, 686, "erns this deed.")]], name="00.pdf")
    (path.parent / "index.json").write_text(json.dumps({"00.pdf": "deed"}))
    spans = [
        {"label": "Governing Law", "text": "law of Ohio governs"},
        {"label": "Parties", "text": "Nobody"},
    ]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"id": "deed", "spans": spans}) + "\n")
    return ["--data", str(path.parent), "--answers", str(answers)]


def test_share_and_seconds(tmp_path: Path, make_pdf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*_data(tmp_path, make_pdf), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["spans"], result["found"], result["share"], result["pages"]) == (2, 1, 0.5, 1)
    assert result["seconds_per_page_mean"] > 0
    assert result["per_file"][0]["missed"] == [{"label": "Parties", "characters": 6}]
    assert main(_data(tmp_path, make_pdf)) == 0
    assert "1 of 2 answers found (50.00 %)" in capsys.readouterr().out


def test_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--answers", str(tmp_path / "none")]) == 2
    assert "DOC-020" in capsys.readouterr().err


def test_letters() -> None:
    assert letters("“The ﬁrm’s” (30)\u00a0days") == "Thefirms30days"
