from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doyen_data import Message, Record, write_records
from doyen_testkit.models import tiny_llama
from doyen_training.cli import app


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    base = tiny_llama(tmp_path / "base")
    record = Record(
        id="r", messages=(Message(role="user", content="Hi"), Message(role="assistant", content="NONE"))
    )
    write_records(tmp_path / "train.jsonl", [record])
    file = tmp_path / "recipe.toml"
    file.write_text(
        f'name = "tiny"\n[base]\nsource = "path:{base}"\n[data]\ntrain = "train.jsonl"\nmax_length = 64\n'
        '[run]\nmax_steps = 1\nlog_steps = 1\nprecision = "float32"\n'
    )
    return file


def test_a_dry_run_for_people_and_for_programs(recipe: Path) -> None:
    runner = CliRunner()
    shown = runner.invoke(app, [str(recipe), "--dry-run"], catch_exceptions=False).stdout
    assert "⟦NONE<|im_end|>⟧" in shown
    assert "parameters are trainable" in shown
    plan = json.loads(runner.invoke(app, [str(recipe), "--dry-run", "--json"], catch_exceptions=False).stdout)
    assert plan["lengths"]["count"] == 1


def test_train_prints_one_json_object_and_keeps_progress_on_stderr(recipe: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, [str(recipe), "--out", str(tmp_path / "run"), "--json"], catch_exceptions=False
    )
    assert json.loads(result.stdout)["steps"] == 1
    assert "step 1/1: loss" in result.stderr
