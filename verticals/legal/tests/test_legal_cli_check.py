"""``doyen legal check`` from the outside: its output, its errors, its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from doyen_legal.cli.check import check
from doyen_schemas import DoyenError

TEXT = """SERVICE AGREEMENT

1. Fees. The client shall pay within thirty (60) days. 2. Notices. Notices follow Section 17.4.
3. "Spare Part" means a part. 4. General.
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(check)
    return app


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.txt"
    path.write_text(TEXT)
    return path


def test_json_is_one_object_of_faults(app: typer.Typer, contract: Path) -> None:
    result = CliRunner().invoke(app, [str(contract), "--json"])
    assert result.exit_code == 0
    faults = json.loads(result.stdout)["faults"]
    assert list(json.loads(result.stdout)) == ["faults"]
    assert {fault["kind"] for fault in faults} == {"number-word-mismatch", "dangling-section", "unused-term"}
    for fault in faults:
        assert list(fault) == ["file", "kind", "start", "end", "message", "related", "note"]
        assert fault["note"] is (fault["kind"] == "unused-term")
        assert fault["file"] == str(contract)
    (mismatch,) = [fault for fault in faults if fault["kind"] == "number-word-mismatch"]
    assert TEXT[mismatch["start"] : mismatch["end"]] == "thirty (60)"


def test_kinds_and_notes_are_chosen(app: typer.Typer, contract: Path) -> None:
    result = CliRunner().invoke(
        app, [str(contract), "--json", "--no-notes", "--kinds", "unused-term,dangling-section"]
    )
    assert [fault["kind"] for fault in json.loads(result.stdout)["faults"]] == ["dangling-section"]


def test_the_table_names_file_line_and_excerpt(app: typer.Typer, contract: Path) -> None:
    result = CliRunner().invoke(app, [str(contract)])
    assert "2 faults, 1 note" in result.stdout
    assert "line 3" in result.stdout
    assert "[thirty (60)]" in result.stdout


def test_a_bad_file_gets_its_line_and_the_others_go_on(
    app: typer.Typer, contract: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pdf"
    empty.write_bytes(b"")
    result = CliRunner().invoke(app, [str(empty), str(contract), "--json"])
    assert result.exit_code == 2
    assert len(json.loads(result.stdout)["faults"]) == 3
    assert f"{empty}: DOC-" in result.stderr
    assert "thirty" not in result.stderr


def test_an_unknown_kind_is_refused(app: typer.Typer, contract: Path) -> None:
    result = CliRunner().invoke(app, [str(contract), "--kinds", "typo"])
    assert isinstance(result.exception, DoyenError)
    assert str(result.exception).startswith("LEG-011: --kinds 'typo' names 'typo'")
