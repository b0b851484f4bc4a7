"""``doyen train teacher`` and a run that learns from its cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from doyen_data import Message, Record, write_records
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.distillation.cli import teacher

app = typer.Typer()
app.command()(teacher)
RECIPE = """
name = "student"
[base]
source = "path:{folder}/student"
[data]
train = "train.jsonl"
max_length = 128
{loss}
[run]
max_steps = 2
batch_size = 2
log_steps = 1
"""
LOSS = """
[[loss]]
kind = "cross-entropy"
weight = 0.5
[[loss]]
kind = "distillation"
weight = 0.5
teacher = "path:{folder}/teacher-model"
top = 8
projection = true
gate = 6.0
teacher_weight = "dynamic"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_llama(tmp_path / "student", 0)
    tiny_llama(tmp_path / "teacher-model", 1)
    write_records(
        tmp_path / "train.jsonl",
        [
            Record(
                id=f"r{n}",
                messages=(
                    Message(role="user", content=f"Law {n}?"),
                    Message(role="assistant", content="New York"),
                ),
            )
            for n in range(4)
        ],
    )
    for name, loss in (("recipe", LOSS.format(folder=tmp_path)), ("plain", "")):
        (tmp_path / f"{name}.toml").write_text(RECIPE.format(folder=tmp_path, loss=loss), encoding="utf-8")
    return tmp_path


def test_the_cache_is_written_once_and_a_run_learns_from_it(folder: Path) -> None:
    from doyen_training.recipe import read_recipe
    from doyen_training.run import train

    recipe = read_recipe(folder / "recipe.toml")
    with pytest.raises(DoyenError, match="TRN-060"):
        train(recipe, folder, folder / "run")
    result = CliRunner().invoke(app, [str(folder / "recipe.toml"), "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["samples"], shown["top"], shown["alignment"]) == (4, 8, "tokens")
    before = (folder / "teacher" / "rows-00000.safetensors").stat().st_mtime_ns
    assert CliRunner().invoke(app, [str(folder / "recipe.toml")]).exit_code == 0
    assert (folder / "teacher" / "rows-00000.safetensors").stat().st_mtime_ns == before
    run = train(recipe, folder, folder / "out")
    assert run["steps"] == 2


def test_a_recipe_without_a_teacher_is_refused(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder / "plain.toml")])
    assert isinstance(result.exception, DoyenError)
    assert result.exception.code == "TRN-064"
