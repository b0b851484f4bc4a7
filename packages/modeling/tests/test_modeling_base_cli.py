from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doyen_modeling import base
from doyen_modeling.cli import app
from doyen_runtime.settings import get_settings
from doyen_testkit.models import tiny_llama


@pytest.fixture
def pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "cache"))
    get_settings.cache_clear()
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, *, revision, local_dir, allow_patterns: tiny_llama(local_dir),
    )
    base.pull("hub:org/tiny@1")
    yield "hub:org/tiny@1"
    get_settings.cache_clear()


def run(*args: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_every_command_prints_one_json_object(pulled: str) -> None:
    path = run("path", pulled)["path"]
    assert run("list")["bases"] == [{k: v for k, v in run("verify", pulled).items() if k != "verified"}]
    again = run("pull", pulled)
    assert (again["fetched"], again["path"]) == (False, path)


def test_the_lines_for_people(pulled: str) -> None:
    runner = CliRunner()
    assert "hub:org/tiny@1" in runner.invoke(app, ["list"]).stdout
    assert "files as recorded" in runner.invoke(app, ["verify", pulled]).stdout
    assert "already in" in runner.invoke(app, ["pull", pulled]).stdout
    assert Path(runner.invoke(app, ["path", pulled]).stdout.strip()).is_dir()
