"""``doyen legal playbook``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doyen_legal.cli.playbook import app
from doyen_legal.playbook import read_playbook
from doyen_schemas import DoyenError

RUN = CliRunner()


def test_list_names_every_shipped_playbook() -> None:
    rows = json.loads(RUN.invoke(app, ["list", "--json"]).stdout)["playbooks"]
    assert [row["name"] for row in rows] == ["nda", "saas", "supply"]
    assert rows[1]["sides"] == ["customer", "vendor"]
    printed = RUN.invoke(app, ["list"]).stdout
    for row in rows:
        assert f"{row['rules']} rules" in printed


def test_show_prints_a_file_that_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(RUN.invoke(app, ["show", "saas"]).stdout, encoding="utf-8")
    assert read_playbook(path).name == "saas"
    assert RUN.invoke(app, ["show", str(path)]).stdout == path.read_text(encoding="utf-8")


def test_check_says_valid_or_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = RUN.invoke(app, ["show", "nda"]).stdout
    path.write_text(text, encoding="utf-8")
    assert "valid" in RUN.invoke(app, ["check", str(path)]).stdout
    assert json.loads(RUN.invoke(app, ["check", str(path), "--json"]).stdout)["name"] == "nda"
    path.write_text(text.replace("severity: high", "severity: hihg", 1), encoding="utf-8")
    with pytest.raises(DoyenError, match="LEG-031") as caught:
        RUN.invoke(app, ["check", str(path)], catch_exceptions=False)
    line = 1 + text[: text.index("severity: high")].count("\n")
    assert f"mine.yaml:{line}:" in caught.value.message
