from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from doyen_schemas import DoyenError
from doyen_training.checkpoints import (
    checkpoints,
    latest_checkpoint,
    problems,
    rotate,
    write_checkpoint,
)


def fill(text: str = "weights") -> Any:
    def write(part: Path) -> None:
        (part / "weights.bin").write_bytes(text.encode() * 100)
        (part / "sub").mkdir()
        (part / "sub" / "state.json").write_text("{}")

    return write


def test_a_checkpoint_lists_every_file_and_verifies(tmp_path: Path) -> None:
    written = write_checkpoint(tmp_path / "run", 3, fill())
    manifest = json.loads((written / "MANIFEST.json").read_text())
    assert manifest["step"] == 3
    assert set(manifest["files"]) == {"weights.bin", "sub/state.json"}
    assert manifest["files"]["weights.bin"]["bytes"] == 700
    assert problems(written) == []
    assert (tmp_path / "run" / "LATEST").read_text() == "checkpoint-3\n"
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["LATEST", "checkpoint-3"]


def test_every_file_and_the_folder_are_synced_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda h: (done.append(os.readlink(f"/proc/self/fd/{h}")), sync(h)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(f"replace {Path(b).name}"), replace(a, b)))
    write_checkpoint(tmp_path, 3, fill())
    named = done.index("replace checkpoint-3")
    assert {Path(p).name for p in done[:named]} == {
        "weights.bin",
        "state.json",
        "MANIFEST.json",
        ".checkpoint-3.part",
    }
    assert done[-1] == str(tmp_path)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)


HARM = {
    "a flipped bit": (lambda c: flip(c / "weights.bin"), "another sha256"),
    "a cut file": (lambda c: (c / "weights.bin").write_bytes(b"we"), "2 bytes instead of 500"),
    "a lost file": (lambda c: (c / "sub" / "state.json").unlink(), "state.json is missing"),
    "no manifest": (lambda c: (c / "MANIFEST.json").unlink(), "MANIFEST.json is missing"),
    "half a manifest": (lambda c: (c / "MANIFEST.json").write_text('{"format": 1'), "cannot be read"),
    "a list": (lambda c: (c / "MANIFEST.json").write_text("[]"), "cannot be read"),
    "another step": (lambda c: os.replace(c, c.with_name("checkpoint-9")), "of step 6"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HARM)
def test_a_damaged_checkpoint_is_reported_and_passed_over(tmp_path: Path, kind: str) -> None:
    write_checkpoint(tmp_path, 3, fill())
    harm, message = HARM[kind]
    harm(write_checkpoint(tmp_path, 6, fill("other")))
    lines: list[str] = []
    assert latest_checkpoint(tmp_path, lines.append) == tmp_path / "checkpoint-3"
    assert len(lines) == 1
    assert message in lines[0]
    assert (tmp_path / "LATEST").read_text() == "checkpoint-3\n"
    assert checkpoints(tmp_path) == [tmp_path / "checkpoint-3"]
    assert latest_checkpoint(tmp_path, lines.append) == tmp_path / "checkpoint-3"
    assert len(lines) == 1  # set aside once


def test_a_checkpoint_of_another_format_is_refused_and_left(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 3, fill())
    newest = write_checkpoint(tmp_path, 6, fill())
    manifest = json.loads((newest / "MANIFEST.json").read_text())
    (newest / "MANIFEST.json").write_text(json.dumps(manifest | {"format": 1}))
    with pytest.raises(
        DoyenError, match="TRN-025: checkpoint-6 is of format 1, and this version reads format 2"
    ):
        latest_checkpoint(tmp_path)
    assert [c.name for c in checkpoints(tmp_path)] == ["checkpoint-3", "checkpoint-6"]
    assert problems(newest) == ["format 1 is not 2"]


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 3, fill())
    (tmp_path / ".checkpoint-6.part").mkdir()
    (tmp_path / ".checkpoint-6.part" / "weights.bin").write_bytes(b"w")
    (tmp_path / ".checkpoint-1.old").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-3"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["LATEST", "checkpoint-3"]
    assert latest_checkpoint(tmp_path / "nothing") is None


def test_the_newest_two_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10, 9):
        write_checkpoint(tmp_path, step, fill())
    rotate(tmp_path, 2, ["checkpoint-1"])
    assert [c.name for c in checkpoints(tmp_path)] == ["checkpoint-1", "checkpoint-9", "checkpoint-10"]


def test_a_step_written_again_replaces_the_first(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 3, fill("first"))
    written = write_checkpoint(tmp_path, 3, fill("again"))
    assert (written / "weights.bin").read_bytes().startswith(b"again")
    assert problems(written) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["LATEST", "checkpoint-3"]


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("moment", ["fill", "fsync", "replace"])
def test_a_full_disk_is_a_coded_error_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write_checkpoint(tmp_path, 3, fill())
    before = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    if moment != "fill":
        monkeypatch.setattr(os, moment, full_disk)
    with pytest.raises(
        DoyenError, match="TRN-020: checkpoint checkpoint-6 could not be written: No space left"
    ):
        write_checkpoint(tmp_path, 6, full_disk if moment == "fill" else fill())
    monkeypatch.undo()
    assert {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-3"


@pytest.mark.parametrize("library", ["safetensors", "torch"])
def test_a_write_that_the_system_refuses_midway_is_a_coded_error(tmp_path: Path, library: str) -> None:
    """No injection: the kernel itself refuses to let the file grow, as it does on a full disk."""
    import torch
    from safetensors.torch import save_file

    tensors = {"w": torch.zeros(50_000)}

    def save(part: Path) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            if library == "torch":
                torch.save(tensors, part / "state.pt")
            else:
                save_file(tensors, part / "weights.safetensors")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with pytest.raises(DoyenError, match="TRN-020: checkpoint checkpoint-6 could not be written: "):
        write_checkpoint(tmp_path, 6, save)
    assert list(tmp_path.iterdir()) == []
