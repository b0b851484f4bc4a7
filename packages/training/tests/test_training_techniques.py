"""Techniques that a line of the recipe switches on: each in a short run from recipe to adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from doyen_data import Message, Record, read_records, write_records
from doyen_modeling.base import load_base
from doyen_modeling.methods import CONFIG, WEIGHTS, load_adapter
from doyen_testkit.models import tiny_llama
from doyen_training.dryrun import dry_run
from doyen_training.exact import exact_match
from doyen_training.masking import IGNORED, tokenize
from doyen_training.recipe import Recipe
from doyen_training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny_llama(folder / "base")
    records = [
        Record(
            id=f"r{i}",
            messages=(
                Message(role="user", content=f"Which law, {i}? " * (1 + i % 3)),
                Message(role="assistant", content="NONE"),
            ),
        )
        for i in range(12)
    ]
    write_records(folder / "train.jsonl", records)
    write_records(folder / "dev.jsonl", records[:4])
    return folder


def recipe(folder: Path, **tables: Any) -> Recipe:
    given: dict[str, Any] = {
        "name": "tiny",
        "base": {"source": f"path:{folder / 'base'}"},
        "data": {"train": "train.jsonl", "dev": "dev.jsonl", "max_length": 256},
        "run": {"max_steps": 4, "batch_size": 2, "learning_rate": 1e-2, "log_steps": 1, "save_steps": 2,
                "precision": "float32", "group_by_length": False},
    }  # fmt: skip
    return Recipe.model_validate(
        given | {k: given.get(k, {}) | v if isinstance(v, dict) else v for k, v in tables.items()}
    )


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", ["lora", "prefix", "prompt", "bottleneck", "ia3", "full", "masked"])
def test_every_method_trains_from_a_recipe_and_loads_again(data: Path, tmp_path: Path, kind: str) -> None:
    settings = recipe(data, method={"kind": kind}, run={"max_steps": 2})
    assert train(settings, data, tmp_path / "run")["state"] == "finished"
    base = load_base(f"path:{data / 'base'}")
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        before = base.model(ids).logits
        after = load_adapter(base, tmp_path / "run" / "adapter")(ids).logits
    assert (before[:, -1] - after[:, -1]).abs().max() > 1e-6, "the adapter is alive"


@pytest.mark.parametrize(
    ("method", "dtype"),
    [
        ({"kind": "lora", "rank": 2}, torch.float16),
        ({"kind": "lora", "rank": 2, "init": "pissa"}, torch.float32),
        ({"kind": "ia3"}, torch.float32),
        ({"kind": "masked", "rank": 2}, torch.float16),
        ({"kind": "prefix", "tokens": 2}, torch.float16),
    ],
    ids=["lora", "pissa", "ia3", "masked", "prefix"],
)
def test_an_earlier_adapter_goes_on_as_what_it_is(
    data: Path, tmp_path: Path, method: dict[str, Any], dtype: torch.dtype
) -> None:
    train(recipe(data, method=method, run={"max_steps": 2}), data, tmp_path / "first")
    first = load_file(tmp_path / "first" / "adapter" / WEIGHTS)
    onward = recipe(data, base={"adapter": str(tmp_path / "first" / "adapter")}, run={"max_steps": 2})
    train(onward, data, tmp_path / "whole")
    assert train(onward, data, tmp_path / "parts", minutes=0)["state"] == "stopped"
    train(onward, data, tmp_path / "parts", resume=True)
    whole, parts = (tmp_path / name / "adapter" for name in ("whole", "parts"))
    for file in (WEIGHTS, CONFIG):
        assert (whole / file).read_bytes() == (parts / file).read_bytes(), file
    found = load_file(whole / WEIGHTS)
    assert {name: (t.shape, t.dtype) for name, t in found.items()} == {
        name: (t.shape, t.dtype) for name, t in first.items()
    }
    assert {t.dtype for t in found.values() if t.is_floating_point()} == {dtype}
    assert any(not torch.equal(found[name], first[name]) for name in first)


def test_terms_balance_curriculum_and_unfreezing_work_together(data: Path, tmp_path: Path) -> None:
    settings = recipe(
        data,
        loss=[{"kind": "cross-entropy"}, {"kind": "pgd", "weight": 0.5, "steps": 1}],
        balance={"kind": "gradnorm"},
        curriculum={"difficulty": "length", "start": 0.3},
        unfreezing={"every": 2, "groups": 2},
        method={"kind": "lora", "rank": 2},
    )
    run = train(settings, data, tmp_path / "run")
    logged = events(tmp_path / "run")
    steps = [event for event in logged if "loss" in event]
    assert run["state"] == "finished"
    assert all({"cross_entropy/loss", "pgd/loss"} <= event.keys() for event in steps)
    stages = [event for event in logged if event.get("event") == "unfreezing"]
    assert [event["step"] for event in stages] == [0, 2]
    found = dry_run(settings, data)
    assert found.steps == 4

    # Stopped and resumed in the middle of all this, the run ends in the same bytes.
    out = tmp_path / "halves"
    assert train(settings, data, out, minutes=0)["state"] == "stopped"
    train(settings, data, out, resume=True)
    weights = "adapter/adapter_model.safetensors"
    assert (out / weights).read_bytes() == (tmp_path / "run" / weights).read_bytes()


def test_packing_takes_fewer_steps_for_the_same_tokens(data: Path, tmp_path: Path) -> None:
    once = {"max_steps": None, "epochs": 1.0}
    plain = train(recipe(data, run=once), data, tmp_path / "plain")
    packed = train(recipe(data, run=once, data={"packing": True}), data, tmp_path / "packed")
    assert packed["tokens"] == plain["tokens"]
    assert packed["steps"] < plain["steps"]


def test_early_stopping_on_exact_answers_keeps_the_best_weights(data: Path, tmp_path: Path) -> None:
    settings = recipe(
        data,
        method={"kind": "full"},
        early_stopping={"metric": "exact", "patience": 2},
        run={"max_steps": 60, "save_steps": 4, "schedule": "constant_with_warmup"},
    )
    run = train(settings, data, tmp_path / "run")
    exact = {
        event["step"]: event["eval_exact"] for event in events(tmp_path / "run") if "eval_exact" in event
    }
    best = min(step for step, value in exact.items() if value == max(exact.values()))
    assert run["state"] == "finished"
    assert run["steps"] == best + 8 < 60, "two evaluations without a better one"
    assert max(exact.values()) == 1.0


def test_exact_means_what_greedy_decoding_says(data: Path, tmp_path: Path) -> None:
    train(recipe(data, method={"kind": "full"}, run={"max_steps": 12}), data, tmp_path / "run")
    base = load_base(f"path:{data / 'base'}")
    model = load_adapter(base, tmp_path / "run" / "adapter")
    examples = tokenize(read_records(data / "train.jsonl"), base.tokenizer, 256)
    right = 0
    for example in examples:
        begin = next(i for i, label in enumerate(example.labels) if label != IGNORED)
        ids = list(example.input_ids[:begin])
        for _ in range(example.learned):
            with torch.inference_mode():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        right += ids[begin:] == [label for label in example.labels if label != IGNORED]
    assert exact_match(model, examples, 5)["exact"] == right / len(examples)
