"""Whatever is wrong with the input or the disk: one coded error, and nothing half-written left behind."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from doyen_data import Message, Record, write_records
from doyen_modeling.base import load_base
from doyen_modeling.methods import Lora, attach, save_adapter
from doyen_runtime.cli import run as doyen
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.dryrun import dry_run
from doyen_training.folder import withdraw
from doyen_training.recipe import Recipe
from doyen_training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny_llama(folder / "base")
    write_records(folder / "train.jsonl", [record(i) for i in range(4)])
    return folder


def record(number: int) -> Record:
    turns = (Message(role="user", content=f"Law {number}?"), Message(role="assistant", content="NONE"))
    return Record(id=f"r{number}", messages=turns)


def recipe(folder: Path, **changes: Any) -> Recipe:
    tables: dict[str, Any] = {
        "name": "tiny",
        "base": {"source": f"path:{folder / 'base'}"},
        "data": {"train": "train.jsonl", "max_length": 64},
        "run": {"max_steps": 2, "batch_size": 2, "save_steps": 1, "precision": "float32"},
    }
    for table, values in changes.items():
        tables[table] = tables.get(table, {}) | values
    return Recipe.model_validate(tables)


@pytest.mark.parametrize(
    ("content", "code", "part"),
    [
        (b'{"id": "a", "messages": [\n', "DAT-002", "line 2"),
        (b"", "DAT-003", "holds no record"),
        ('{"id": "b", "messages": "§"}'.encode("latin-1"), "DAT-002", "not UTF-8 (line 2"),
        (b'{"id": "b", "text": "?"}', "DAT-002", "line 2: messages: Field required, text: Extra inputs"),
        (None, "DAT-001", "bad.jsonl"),
    ],
)
def test_bad_record_files(data: Path, tmp_path: Path, content: bytes | None, code: str, part: str) -> None:
    good = (record(0).model_dump_json(exclude_none=True) + "\n").encode() if content else b""
    if content is not None:
        (tmp_path / "bad.jsonl").write_bytes(good + content)
    for attempt in (
        lambda: train(recipe(data, data={"train": str(tmp_path / "bad.jsonl")}), data, tmp_path / "out"),
        lambda: dry_run(recipe(data, data={"train": str(tmp_path / "bad.jsonl")}), data),
    ):
        with pytest.raises(DoyenError) as raised:
            attempt()
        assert raised.value.code == code
        assert part in raised.value.message
    assert not (tmp_path / "out").exists()


def test_the_command_names_the_broken_line_and_exits_with_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.jsonl").write_text("{broken\n")
    (tmp_path / "recipe.toml").write_text(
        f'name = "t"\n[base]\nsource = "path:{data / "base"}"\n[data]\ntrain = "train.jsonl"\n[run]\nmax_steps = 1\n'
    )
    assert doyen(["train", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("DAT-002: train.jsonl has 1 wrong line(s): line 1:")
    assert not (tmp_path / "out").exists()


def test_a_missing_base_and_a_missing_device(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = recipe(data, base={"source": f"path:{tmp_path / 'nothing'}"})
    with pytest.raises(DoyenError, match="MOD-002"):
        train(absent, data, tmp_path / "out")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DoyenError, match="MOD-042: qlora needs a CUDA device"):
        train(recipe(data, method={"kind": "qlora"}), data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_refused_and_its_own_goes_on(data: Path, tmp_path: Path) -> None:
    base = load_base(f"path:{data / 'base'}")
    save_adapter(attach(base.model, Lora(rank=2, alpha=4)), data / "adapter", base.ref)
    onward = recipe(data, base={"adapter": "adapter"})
    assert train(onward, data, tmp_path / "out")["state"] == "finished"

    tiny_llama(tmp_path / "other", seed=5)
    other = recipe(data, base={"adapter": "adapter", "source": f"path:{tmp_path / 'other'}"})
    with pytest.raises(DoyenError, match="MOD-011"):
        train(other, data, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def full_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Renaming a file or folder called ``name`` into its place fails as on a full disk."""
    replace = os.replace

    def fail(source: Any, target: Any, **options: Any) -> None:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", fail)


def test_a_disk_that_is_full_from_the_start_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch, "run.json")
    with pytest.raises(DoyenError, match=r"TRN-020: .* cannot be written: No space left"):
        train(recipe(data), data, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["checkpoint-2", "adapter"])
def test_a_disk_that_fills_up_later_costs_nothing_that_was_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as full:
        full_disk(full, name)
        with pytest.raises(DoyenError, match="TRN-020"):
            train(recipe(data), data, out)
    assert not (out / "adapter").exists()
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    assert train(recipe(data), data, out, resume=True)["state"] == "finished"
    train(recipe(data), data, tmp_path / "whole")
    weights = "adapter/adapter_model.safetensors"
    assert (out / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()


def test_two_processes_do_not_train_in_one_folder(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DoyenError, match="TRN-043: another process is training in"):
            train(recipe(data), data, tmp_path / "out")
    assert train(recipe(data), data, tmp_path / "out")["state"] == "finished"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"loss": [{"kind": "distillation", "teacher": "path:t"}]}, "TRN-060"),
        ({"data": {"packing": True}, "loss": [{"kind": "on-policy", "teacher": "path:{}"}]}, "TRN-068"),
        ({"loss": [{"kind": "router"}]}, "MOD-050"),
        ({"unfreezing": {"every": 5, "groups": 2}}, "TRN-070"),
        ({"curriculum": {"difficulty": "given", "scores": "nowhere.json"}}, "TRN-067"),
    ],
)
def test_a_run_that_is_refused_before_its_first_step_leaves_nothing(
    data: Path, tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    for part in changes.get("loss", []):
        if "teacher" in part:
            part["teacher"] = part["teacher"].format(data / "base")
    refused = recipe(data, **{k: v for k, v in changes.items() if k != "loss"})
    if "loss" in changes:
        refused = Recipe.model_validate(
            refused.model_dump(exclude_unset=True) | {"loss": changes["loss"], "method": {"kind": "lora"}}
        )
    out = tmp_path / "out"
    for _ in range(2):  # the second try says the same, not that the folder is taken
        with pytest.raises(DoyenError) as raised:
            train(refused, data, out)
        assert raised.value.code == code
        assert [path.name for path in out.iterdir()] == [".lock"], "another process may wait for it"

    (out / "recipe.json").write_text("{}")  # a queue's
    with pytest.raises(DoyenError, match=code):
        train(refused, data, out)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "recipe.json"]


def test_a_refused_resume_changes_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(recipe(data), data, out, minutes=0)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "checkpoints" / "checkpoint-1" / "state.pt").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("doyen_training.run.build_trainer", fail)
        with pytest.raises(DoyenError, match="TRN-061"):
            train(recipe(data), data, out, resume=True)
    kept = {path: text for path, text in before.items() if "checkpoints" not in path.parts}
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_resume_that_is_refused_on_its_way_keeps_the_events(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No checkpoint is left, so the run starts over, but a term refuses before the first step."""
    out = tmp_path / "out"
    train(recipe(data), data, out, minutes=0)
    for checkpoint in (out / "checkpoints").glob("checkpoint-*"):
        (checkpoint / "state.pt").unlink()
    before = (out / "events.jsonl").read_bytes()
    assert before
    with monkeypatch.context() as patch:
        patch.setattr("doyen_training.losses.cross_entropy.CrossEntropy.begin", fail)
        with pytest.raises(DoyenError, match="TRN-061"):
            train(recipe(data), data, out, resume=True)
    assert (out / "events.jsonl").read_bytes() == before
    assert train(recipe(data), data, out, resume=True)["state"] == "finished"
    steps = [json.loads(line)["step"] for line in (out / "events.jsonl").read_text().splitlines()]
    assert steps[0] <= 1
    assert steps == sorted(steps), "the lines of the run that was lost are gone"


def test_one_file_that_cannot_be_taken_back_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("run.json", "samples.json", "events.jsonl", ".lock"):
        (tmp_path / name).write_text("{}")
    unlink = Path.unlink

    def stuck(path: Path, missing_ok: bool = False) -> None:
        if path.name == "run.json":
            raise PermissionError
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stuck)
    withdraw(tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "run.json"]


def fail(*_: Any) -> None:
    raise DoyenError("TRN-061", "a cache of others.", "")


def test_a_run_that_fails_in_its_first_step_keeps_the_diagnosis(data: Path, tmp_path: Path) -> None:
    tiny_llama(tmp_path / "base")
    base = load_base(f"path:{tmp_path / 'base'}")
    base.model.model.norm.weight.data.fill_(float("nan"))
    base.model.save_pretrained(str(tmp_path / "base"))
    broken = recipe(tmp_path, data={"train": str(data / "train.jsonl")})
    with pytest.raises(DoyenError, match="TRN-006"):
        train(broken, tmp_path, tmp_path / "out")
    assert "not-finite" in (tmp_path / "out" / "events.jsonl").read_text()
