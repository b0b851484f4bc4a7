from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from doyen_data import Message, Record, write_records
from doyen_runtime.cli import run as doyen
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


def test_a_plan_is_a_recipe_that_a_dry_run_accepts(recipe: Path, tmp_path: Path, capsys: Any) -> None:
    planned = tmp_path / "plans" / "recipe.toml"
    planned.parent.mkdir()
    command = ["plan", "--data", str(tmp_path / "train.jsonl"), "--base", f"path:{tmp_path / 'base'}"]
    assert doyen([*command, "--out", str(planned)]) == 0
    assert "doyen train" in capsys.readouterr().out
    assert doyen(["train", str(planned), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 3

    assert doyen([*command, "--out", str(planned)]) == 2
    assert capsys.readouterr().err.startswith("TRN-052: ")
    assert doyen([*command, "--device", "tpu"]) == 2
    assert capsys.readouterr().err.startswith("TRN-053: device 'tpu'")
    assert doyen([*command, "--device", "cuda", "--memory", "24", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["recipe"]["method"]["kind"] == "lora"
    assert plan["reasons"].keys() >= {"name", "method.kind", "run.batch_size"}
    assert [row["method"] for row in plan["methods"]] == ["full", "lora", "qlora"]


def test_a_report_over_a_run(recipe: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    runner.invoke(app, [str(recipe), "--out", str(tmp_path / "run")], catch_exceptions=False)
    page = tmp_path / "report.html"
    runner.invoke(app, ["report", str(tmp_path / "run"), "--out", str(page)], catch_exceptions=False)
    assert "<mark>NONE&lt;|im_end|&gt;</mark>" in page.read_text()


def test_help_names_the_commands_and_the_options_of_a_run() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(name in shown for name in ("report", "teacher", "--dry-run", "--resume"))
    assert "--queue" in CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).stdout
