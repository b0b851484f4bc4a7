from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from doyen_data import Message, Record, write_records
from doyen_modeling.base import load_base
from doyen_modeling.methods import adapter_base, load_adapter
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training import prepare
from doyen_training import run as runs
from doyen_training.dryrun import dry_run
from doyen_training.masking import IGNORED, tokenize
from doyen_training.recipe import EarlyStoppingPart, Recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny_llama(folder / "base")
    records = [
        Record(
            id=f"r{i}",
            messages=(
                Message(role="user", content=f"Which law governs agreement {i}? " * (1 + i % 3)),
                Message(role="assistant", content="the laws of the State of New York" if i % 2 else "NONE"),
            ),
        )
        for i in range(12)
    ]
    write_records(folder / "train.jsonl", records)
    write_records(folder / "dev.jsonl", records[:3])
    return folder


def recipe(data: Path, **run: Any) -> Recipe:
    settings = {
        "max_steps": 6, "batch_size": 2, "learning_rate": 1e-2, "log_steps": 1, "save_steps": 3, "precision": "float32",
    }  # fmt: skip
    return Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"source": f"path:{data / 'base'}"},
            "data": {"train": "train.jsonl", "dev": "dev.jsonl", "max_length": 256},
            "method": {"kind": "lora", "rank": 4, "alpha": 8},
            "run": settings | run,
        }
    )


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


def test_a_run_leaves_adapter_record_events_and_curve(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    lines: list[str] = []
    run = runs.train(recipe(data), data, out, report=lines.append)
    assert run == json.loads((out / "run.json").read_text())
    assert (run["state"], run["steps"]) == ("finished", 6)
    assert run["recipe_sha256"] == recipe(data).digest()
    assert set(run["data_sha256"]) == {"train", "dev"}
    assert run["versions"]["trl"].startswith("1.16")
    assert "tokens are learned" in lines[0]

    logged = events(out)
    assert [e["step"] for e in logged if "loss" in e] == [1, 2, 3, 4, 5, 6]
    assert [e["step"] for e in logged if "eval_loss" in e] == [3, 6]
    assert logged[-1]["eval_loss"] < next(e["loss"] for e in logged if "loss" in e)
    assert all(e["tokens_per_s"] > 0 and e["eta_s"] >= 0 for e in logged if "loss" in e)
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")

    base = load_base(f"path:{data / 'base'}")
    assert adapter_base(out / "adapter") == base.ref
    assert all(
        t.dtype == torch.float16 for t in load_file(out / "adapter" / "adapter_model.safetensors").values()
    )
    load_adapter(base, out / "adapter")


def test_the_first_loss_is_the_mean_over_learned_tokens_of_the_untouched_base(
    data: Path, tmp_path: Path
) -> None:
    """Golden loss: LoRA begins as the identity, so step 1 must equal a plain computation on the base."""
    from doyen_data import read_records

    runs.train(recipe(data, max_steps=1, batch_size=12), data, tmp_path / "run")
    base = load_base(f"path:{data / 'base'}")
    total, count = 0.0, 0
    for example in tokenize(read_records(data / "train.jsonl"), base.tokenizer, 256):
        with torch.inference_mode():
            logits = base.model(torch.tensor([example.input_ids])).logits[0, :-1].log_softmax(-1)
        for position, label in enumerate(example.labels[1:]):
            if label != IGNORED:
                total -= float(logits[position, label])
                count += 1
    assert events(tmp_path / "run")[0]["loss"] == pytest.approx(total / count, abs=2e-5)


class Killed(BaseException):
    pass


def test_a_killed_run_goes_on_bit_for_bit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = runs.train(recipe(data), data, tmp_path / "whole")

    def die_at_step_5(line: str) -> None:
        if line.startswith("step 5/"):
            raise Killed

    out = tmp_path / "broken"
    with pytest.raises(Killed):
        runs.train(recipe(data), data, out, report=die_at_step_5)
    # What a kill in mid-save leaves behind: the highest number, and nothing usable in it.
    (out / "checkpoints" / "checkpoint-4").mkdir()
    assert json.loads((out / "run.json").read_text())["state"] == "running"
    with pytest.raises(DoyenError, match=r"TRN-007: .* holds a run already"):
        runs.train(recipe(data), data, out)

    resumed = runs.train(recipe(data), data, out, resume=True)
    steps = [e["step"] for e in events(out) if "loss" in e]
    assert steps == [1, 2, 3, 4, 5, 4, 5, 6]
    # The figures are of the whole run, not of the last process.
    assert (resumed["train_loss"], resumed["tokens"]) == (whole["train_loss"], whole["tokens"])
    losses = [e["loss"] for e in events(tmp_path / "whole") if "loss" in e]
    assert whole["train_loss"] == pytest.approx(sum(losses) / 6, abs=1e-5)
    file = "adapter/adapter_model.safetensors"
    assert (out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.parametrize("early", [True, False], ids=["early stop", "last step"])
def test_a_run_killed_behind_its_last_checkpoint_only_writes_the_adapter(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    """The last step lies within an epoch; the early stop before the last step."""
    settings = recipe(data, max_steps=8, save_steps=2, learning_rate=0.1)
    if early:
        stop = EarlyStoppingPart(patience=1, threshold=10.0)
        settings = settings.model_copy(update={"early_stopping": stop})
    whole = runs.train(settings, data, tmp_path / "whole")
    assert whole["steps"] == (4 if early else 8)

    def die(*_: Any) -> None:
        raise Killed

    out = tmp_path / "broken"
    with monkeypatch.context() as killed:
        killed.setattr(runs, "replace_folder", die)
        with pytest.raises(Killed):
            runs.train(settings, data, out)
    logged = (out / "events.jsonl").read_bytes()
    resumed = runs.train(settings, data, out, resume=True)
    assert (out / "events.jsonl").read_bytes() == logged, "no step and no evaluation more"
    same = ("state", "steps", "train_loss", "tokens")
    assert [resumed[key] for key in same] == [whole[key] for key in same]
    file = "adapter/adapter_model.safetensors"
    assert (out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_run_stopped_by_the_clock_is_usable_and_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    stopped = runs.train(recipe(data), data, out, minutes=0)
    assert (stopped["state"], stopped["steps"]) == ("stopped", 1)
    assert (out / "adapter" / "adapter_model.safetensors").is_file()
    finished = runs.train(recipe(data), data, out, resume=True)
    assert (finished["state"], finished["steps"]) == ("finished", 6)
    assert [e["step"] for e in events(out) if "loss" in e] == [1, 2, 3, 4, 5, 6]


def test_another_run_is_never_resumed_or_overwritten(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match=r"TRN-007: .* holds no run to resume"):
        runs.train(recipe(data), data, tmp_path / "new", resume=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DoyenError, match=r"TRN-007: .* is not empty"):
        runs.train(recipe(data), data, tmp_path)
    out = tmp_path / "run"
    runs.train(recipe(data, max_steps=1), data, out)
    with pytest.raises(DoyenError, match="started with another recipe_sha256"):
        runs.train(recipe(data, max_steps=2), data, out, resume=True)


def test_wrong_records_leave_no_run_behind(data: Path, tmp_path: Path) -> None:
    short = recipe(data).model_copy(update={"data": recipe(data).data.model_copy(update={"max_length": 20})})
    with pytest.raises(DoyenError, match="TRN-004"):
        runs.train(short, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nan_stops_the_run(data: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    weights = load_file(broken / "base" / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DoyenError, match="TRN-006: loss is nan at step 1"):
        runs.train(recipe(broken), broken, tmp_path / "run")


def test_layers_that_do_not_exist_are_refused(data: Path, tmp_path: Path) -> None:
    wrong = recipe(data).model_copy(
        update={"method": recipe(data).method.model_copy(update={"targets": ("no_such",)})}
    )
    with pytest.raises(DoyenError, match="MOD-040"):
        dry_run(wrong, data)


def test_bfloat16_computes_in_bfloat16_with_float32_adapters(data: Path, tmp_path: Path) -> None:
    exact = runs.train(recipe(data, max_steps=2), data, tmp_path / "float32")
    narrow = runs.train(recipe(data, max_steps=2, precision="bfloat16"), data, tmp_path / "bfloat16")
    assert narrow["precision"] == "bfloat16"
    assert narrow["train_loss"] == pytest.approx(exact["train_loss"], rel=0.02)
    assert narrow["train_loss"] != exact["train_loss"]


@pytest.mark.parametrize(("amx", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_precision_follows_the_hardware(
    data: Path, amx: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(prepare, "has_bf16_units", lambda: amx)
    assert prepare.precision(recipe(data, precision="auto")) == expected
