"""The folder of a run: whose it is, who writes to it, and that nothing half-written stays in it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from doyen_data import dataset_digest, read_records
from doyen_modeling.base import read_record
from doyen_schemas import DoyenError
from doyen_training.inputs import input_digests
from doyen_training.recipe import Recipe

RUN: Final = "run.json"
LOCK: Final = ".lock"
# What a queued training is submitted with, before it has run.
QUEUED: Final = "recipe.json"
JOB: Final = "job.json"
PACKAGES: Final = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "tokenizers",
    "doyen-training",
)


def write_json(path: Path, value: Any) -> None:
    """Write in one step: a reader sees the old content or the new one, and a full disk leaves nothing behind."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def identity(recipe: Recipe, data: Path) -> dict[str, Any]:
    """What makes a run the same run: the digests of its recipe, records, base and other files. Raises DAT-…, MOD-…"""
    base = read_record(recipe.base.source)
    return {
        "recipe_sha256": recipe.digest(),
        "data_sha256": {
            name: dataset_digest(read_records(data / file)) for name, file in recipe.files().items()
        },
        "inputs_sha256": input_digests(recipe, data),
        "base": {
            "source": base.source,
            "weights_sha256": base.weights_sha256,
            "tokenizer_sha256": base.tokenizer_sha256,
        },
    }


def describe(recipe: Recipe, data: Path) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json"),
        **identity(recipe, data),
        "versions": {name: version(name) for name in PACKAGES},
        "seed": recipe.seed,
        "command": ["doyen", *sys.argv[1:]],
    }


def check_out(out: Path, recipe_sha256: str, *, resume: bool) -> dict[str, Any]:
    """The record of the run in ``out``, empty without one. Raises TRN-007: no run is overwritten or mixed up."""
    existing = out / RUN
    if not existing.is_file():
        if resume:
            raise DoyenError("TRN-007", f"{out} holds no run to resume.", "Leave --resume out to start one.")
        if out.is_dir() and any(path.name not in (LOCK, QUEUED, JOB, "train.log") for path in out.iterdir()):
            raise DoyenError("TRN-007", f"{out} is not empty and holds no run.", "Choose another --out.")
        return {}
    if not resume:
        raise DoyenError(
            "TRN-007",
            f"{out} holds a run already.",
            "Add --resume to go on with it, or choose another --out.",
        )
    before: dict[str, Any] = json.loads(existing.read_text(encoding="utf-8"))
    if before["recipe_sha256"] != recipe_sha256:
        raise _another(out, ["recipe_sha256"])
    return before


def same_run(out: Path, before: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Raises TRN-007, with the names of what differs, unless ``before`` is empty or has the identity of ``run``.

    So it does where ``before`` was written by a version that kept no identity of the base.
    """
    if not before:
        return
    if "base" not in before:
        raise DoyenError(
            "TRN-007",
            f"{out} was written by an older version, which did not keep what base it is of.",
            "Go on with the version of doyen-training that began it, or start anew in another --out.",
        )
    changed = ["base"] if before["base"] != run["base"] else []
    for kind in ("data_sha256", "inputs_sha256"):
        old, new = before.get(kind, {}), run[kind]
        changed += [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if changed:
        raise _another(out, changed)


def _another(out: Path, changed: Sequence[str]) -> DoyenError:
    return DoyenError(
        "TRN-007",
        f"{out} was started with another {', '.join(changed)}; a resumed run must be the same run.",
        "Restore the recipe and the files that it names, or start anew in another --out.",
    )


def withdraw(out: Path, before: Mapping[str, Any]) -> None:
    """Take back what a run that was refused before its first step has written: ``out`` is as it was ``before``.

    But for the lock file: whoever waits for it would lock a file that the next one no longer finds.
    """
    if before:
        with suppress(OSError):
            write_json(out / RUN, before)
        return
    for name in (RUN, "samples.json", "events.jsonl"):
        with suppress(OSError):
            (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn what the disk refuses into TRN-020."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise DoyenError(
            "TRN-020",
            f"{out} cannot be written: {error.strerror}.",
            "Free space on the disk of --out or choose another, then start again or go on with --resume.",
        ) from error


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """One process trains in a folder: a lost worker's child may still be writing its last checkpoint."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DoyenError(
                "TRN-043",
                f"another process is training in {out}.",
                "Wait for it, or choose another --out.",
            ) from error
        yield


def replace_folder(target: Path, fill: Callable[[Path], Any]) -> None:
    """Write a folder beside its place and put it there whole."""
    part, old = (target.with_name(f".{target.name}.{suffix}") for suffix in ("part", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        fill(part)
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)
