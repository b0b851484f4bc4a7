"""Checkpoints that are whole or not there.

A checkpoint is written beside its place, every file is synced to disk and listed with its size and sha256 in
``MANIFEST.json``, and only then does the folder get its name. A kill, a full disk or a flipped bit at any moment leaves
either a checkpoint that verifies or none of that name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from doyen_schemas import DoyenError

PREFIX: Final = "checkpoint-"
MANIFEST: Final = "MANIFEST.json"
LATEST: Final = "LATEST"
DAMAGED: Final = ".damaged"
# 2 holds the sum of the losses, from which a resumed run reckons its mean.
FORMAT: Final = 2


def write_checkpoint(folder: Path, step: int, fill: Callable[[Path], None]) -> Path:
    """Write ``folder/checkpoint-STEP`` with the files that ``fill`` puts into the folder it is given.

    Raises TRN-020 when a file cannot be written (full disk, quota, permission); then nothing is left behind, and older
    checkpoints stay as they are.
    """
    target = folder / f"{PREFIX}{step}"
    part = folder / f".{target.name}.part"
    try:
        clear_leftovers(folder)
        part.mkdir(parents=True)
        fill(part)
        _write_manifest(part, step)
        _sync(part)
        if target.exists():  # of the same step, from before a resume
            os.replace(target, folder / f".{target.name}.old")
        os.replace(part, target)
        _point_at(folder, target.name)
        _sync(folder)
    except (OSError, RuntimeError, _safetensors_error()) as error:
        # torch reports a failed write as RuntimeError, safetensors with a class of its own.
        shutil.rmtree(part, ignore_errors=True)
        raise DoyenError(
            "TRN-020",
            f"checkpoint {target.name} could not be written: {_reason(error)}.",
            "Free space on the disk of --out, then go on with --resume.",
        ) from error
    clear_leftovers(folder)
    return target


def clear_leftovers(folder: Path) -> None:
    """Remove what a kill left of a write or of a removal."""
    for pattern in (f".{PREFIX}*.part", f".{PREFIX}*.old", f".{LATEST}.part"):
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def problems(checkpoint: Path) -> list[str]:
    """What is wrong with a checkpoint, one line each; empty when every file is as it was written."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = manifest["files"]
        if manifest["format"] != FORMAT:
            return [f"format {manifest['format']} is not {FORMAT}"]
        if f"{PREFIX}{manifest['step']}" != checkpoint.name.removesuffix(DAMAGED):
            return [f"the manifest is of step {manifest['step']}"]
        return [
            problem
            for name, facts in sorted(files.items())
            if (problem := _file_problem(checkpoint / name, facts["bytes"], facts["sha256"]))
        ]
    except FileNotFoundError:
        return [f"{MANIFEST} is missing"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST} cannot be read ({type(error).__name__})"]


def _other_format(checkpoint: Path) -> int | None:
    """The format of a checkpoint that another version wrote; None where it is this one's or cannot be told."""
    try:
        found = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) and found != FORMAT else None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run by step, whole or not."""
    found = [path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdecimal()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix(PREFIX))


def latest_checkpoint(folder: Path, report: Callable[[str], None] = lambda _: None) -> Path | None:
    """The newest checkpoint that verifies; a damaged one is reported, renamed to ``*.damaged`` and passed over.

    Raises TRN-025 where one is of another version's format: it is whole, and passing over it would lose its steps.
    """
    if folder.is_dir():
        clear_leftovers(folder)
    for checkpoint in reversed(checkpoints(folder)):
        if (other := _other_format(checkpoint)) is not None:
            raise DoyenError(
                "TRN-025",
                f"{checkpoint.name} is of format {other}, and this version reads format {FORMAT}.",
                "Go on with the version of doyen-training that began the run, or start anew in another --out.",
            )
        found = problems(checkpoint)
        if not found:
            _point_at(folder, checkpoint.name)
            return checkpoint
        report(f"{checkpoint.name} is damaged and is passed over: {'; '.join(found)}")
        aside = checkpoint.with_name(checkpoint.name + DAMAGED)
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(checkpoint, aside)
    return None


def rotate(folder: Path, keep: int, spare: Collection[str] = ()) -> None:
    """Remove all but the newest ``keep`` checkpoints and those named in ``spare``, and damaged ones of older steps."""
    for checkpoint in checkpoints(folder)[:-keep]:
        if checkpoint.name not in spare:
            old = folder / f".{checkpoint.name}.old"  # no half-removed folder ever has a checkpoint's name
            os.replace(checkpoint, old)
            shutil.rmtree(old)
    for damaged in folder.glob(f"{PREFIX}*{DAMAGED}"):
        shutil.rmtree(damaged)


def _write_manifest(part: Path, step: int) -> None:
    files = {}
    for path in sorted(part.rglob("*")):
        if path.is_file():
            _sync(path)
            files[path.relative_to(part).as_posix()] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    manifest = {"format": FORMAT, "step": step, "files": files}
    (part / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _sync(part / MANIFEST)


def _point_at(folder: Path, name: str) -> None:
    scratch = folder / f".{LATEST}.part"
    scratch.write_text(name + "\n", encoding="utf-8")
    _sync(scratch)
    os.replace(scratch, folder / LATEST)


def _file_problem(path: Path, size: int, sha256: str) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    if path.stat().st_size != size:
        return f"{path.name} has {path.stat().st_size} bytes instead of {size}"
    return None if _sha256(path) == sha256 else f"{path.name} has another sha256"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _safetensors_error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
