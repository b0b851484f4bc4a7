from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from doyen_data import Message, Record, write_records
from doyen_modeling.base import load_base
from doyen_modeling.methods import Lora, attach
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.dryrun import _work, dry_run
from doyen_training.recipe import Recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny_llama(folder / "base")
    write_records(
        folder / "train.jsonl",
        [
            Record(
                id=f"r{i}",
                messages=(
                    Message(role="user", content=f"Which law governs agreement {i}? " * (1 + i % 3)),
                    Message(
                        role="assistant", content="the laws of the State of New York" if i % 2 else "NONE"
                    ),
                ),
            )
            for i in range(12)
        ],
    )
    return folder


def recipe(folder: Path, **changes: Any) -> Recipe:
    tables: dict[str, Any] = {
        "name": "tiny",
        "base": {"source": f"path:{folder / 'base'}"},
        "data": {"train": "train.jsonl", "max_length": 256},
        "method": {"kind": "lora", "rank": 4, "alpha": 8},
        "run": {"epochs": 2, "batch_size": 2, "accumulation": 2, "precision": "float32"},
    }
    for table, values in changes.items():
        tables[table] = tables[table] | values
    return Recipe.model_validate(tables)


def test_a_dry_run_shows_the_mask_and_measures_a_step(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {path: path.stat().st_mtime for path in data.rglob("*")}
    found = dry_run(recipe(data), data, samples=2)
    model = attach(load_base(f"path:{data / 'base'}").model, Lora(rank=4, alpha=8))
    assert found.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.lengths.count == 12
    assert 0 < found.learned_share < 0.5
    assert len(found.samples) == 2
    assert found.samples[0].endswith("⟦NONE<|im_end|>⟧\n")

    step = found.step
    assert (step.rows, step.tokens) == (2, 2 * found.lengths.longest)
    assert step.measured.weights == step.formula.weights == 4 * found.parameters
    assert step.measured.gradients == step.formula.gradients == 4 * found.trainable
    assert step.formula.optimizer == 8 * found.trainable
    # AdamW also counts its steps: four bytes a tensor.
    assert 0 <= step.measured.optimizer - step.formula.optimizer < 200
    assert 0.3 < step.measured.activations / step.formula.activations < 3
    assert step.peak is not None
    assert step.peak > step.measured.total
    assert found.steps == 6, "12 rows in batches of 2, two batches a step, two epochs"
    assert found.eta_seconds > 0
    assert json.loads(json.dumps(asdict(found)))["cut"]["lost"] == 0

    assert os.listdir(tmp_path) == []
    assert {path: path.stat().st_mtime for path in data.rglob("*")} == before


def test_checkpointing_keeps_less_and_packing_fills_rows(data: Path) -> None:
    plain = dry_run(recipe(data), data).step
    less = dry_run(recipe(data, run={"gradient_checkpointing": True}), data).step
    assert less.measured.activations < 0.7 * plain.measured.activations
    packed = dry_run(recipe(data, data={"packing": True}), data)
    assert packed.step.tokens > plain.tokens
    assert packed.steps < 6
    coloured = dry_run(recipe(data), data, samples=1, colour=True).samples[0]
    assert "\x1b[32mNONE<|im_end|>\x1b[0m" in coloured


def test_what_a_cut_loses_is_told(data: Path) -> None:
    found = dry_run(recipe(data, data={"max_length": 90, "truncation": 0.2}), data)
    assert found.cut.shortened > 0
    assert 0 < found.cut.share <= 0.2
    assert found.lengths.over_limit == found.cut.shortened


def test_the_curriculum_is_checked_and_its_order_is_not_that_of_the_lengths(data: Path) -> None:
    settings = recipe(data).model_dump(exclude_unset=True)
    given = Recipe.model_validate(settings | {"curriculum": {"difficulty": "given", "scores": "absent.json"}})
    with pytest.raises(DoyenError, match="TRN-067"):
        dry_run(given, data)
    rows = {"indices": [[i] for i in range(4)], "length": [1, 9, 1, 9]}
    trainer: Any = SimpleNamespace(train_dataset=rows)
    ordered = Recipe.model_validate(settings | {"curriculum": {"difficulty": "length"}})
    assert _work(recipe(data), trainer) == (2, 2 * (2 + 18)), (
        "sorted: a batch of short rows, one of long rows"
    )
    assert _work(ordered, trainer) == (2, 2 * (18 + 18))
