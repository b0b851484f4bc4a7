"""Objectives with a teacher in memory, from a recipe: they train, and a stopped run goes on to the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doyen_data import Message, Record, write_records
from doyen_testkit.models import tiny_llama
from doyen_training.recipe import Recipe
from doyen_training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objectives")
    tiny_llama(folder / "base", 0)
    tiny_llama(folder / "teacher", 1)
    write_records(
        folder / "train.jsonl",
        [
            Record(
                id=f"r{n}",
                messages=(
                    Message(role="user", content=f"Law {n}?"),
                    Message(role="assistant", content="New York"),
                ),
            )
            for n in range(6)
        ],
    )
    return folder


@pytest.mark.parametrize(
    ("loss", "balance"),
    [
        (
            [{"kind": "attention", "switch": 1, "teacher": "{}"}, {"kind": "cross-entropy"}],
            {"kind": "uncertainty"},
        ),
        (
            [{"kind": "on-policy", "teacher": "{}", "answer_tokens": 3}, {"kind": "cross-entropy"}],
            {"kind": "gradnorm"},
        ),
    ],
    ids=["attention", "on-policy"],
)
def test_a_resumed_run_ends_with_the_same_bytes(
    data: Path, tmp_path: Path, loss: list[dict[str, Any]], balance: dict[str, Any]
) -> None:
    terms = [
        {key: f"path:{data / 'teacher'}" if key == "teacher" else value for key, value in term.items()}
        for term in loss
    ]
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"source": f"path:{data / 'base'}"},
            "data": {"train": "train.jsonl", "max_length": 128},
            "method": {"kind": "lora", "rank": 2},
            "loss": terms,
            "balance": balance,
            "run": {"max_steps": 3, "batch_size": 2, "log_steps": 1, "save_steps": 1, "precision": "float32"},
        }
    )
    whole = train(recipe, data, tmp_path / "whole")
    assert (whole["state"], whole["steps"]) == ("finished", 3)
    assert train(recipe, data, tmp_path / "parts", minutes=0)["state"] == "stopped"
    assert train(recipe, data, tmp_path / "parts", resume=True)["state"] == "finished"
    first, second = (tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("whole", "parts"))
    assert first.read_bytes() == second.read_bytes()
