"""``doyen train --queue``: a training as work for ``doyen worker --vertical training``.

To the queue a training is one document, the recipe in its canonical form, whose sha256 the
ledger's key holds with the digests of the data and the base, so the same training submitted twice is one training. A
worker runs it as a child process: a worker that is asked to stop asks the child to stop, which it does behind a
checkpoint; a child whose worker was killed stops in the same way; whoever claims the training next goes on from there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from celery.signals import worker_shutting_down

from doyen_runtime.ledger import Ledger, Submission, Work, item_key
from doyen_runtime.settings import Settings, get_settings
from doyen_runtime.verticals import Vertical
from doyen_runtime.worker import WorkStopped, lift_time_limit, note
from doyen_schemas import DoyenError
from doyen_training.folder import JOB, LOCK, QUEUED, RUN, check_out, identity, same_run, write_json
from doyen_training.recipe import Recipe, read_recipe

NAME: Final = "training"
NO_ADAPTER: Final = hashlib.sha256(b"").hexdigest()
NOTED: Final = ("step", "steps", "loss", "eval_loss", "tokens_per_s", "eta_s")
# What another machine or another moment may not meet: tried again.
PASSING: Final = {"TRN-020", "TRN-043"}


def enqueue(recipe: Recipe, data: Path, out: Path, settings: Settings, ledger: Ledger) -> dict[str, Any]:
    """Submit a training and return its status; one that is queued, running or done is not submitted again.

    ``data`` and ``out`` must be seen by the workers under the same paths. Raises DAT-…, MOD-002, TRN-007 and RUN-027.
    """
    data, out = data.resolve(), out.resolve()
    known = identity(recipe, data)
    options = {
        "data_sha256": known["data_sha256"],
        "inputs_sha256": known["inputs_sha256"],
        "base": known["base"],
    }
    release = version("doyen-training")
    work = Work(NAME, release, release, NO_ADAPTER, options)
    canonical = recipe.canonical()
    document = hashlib.sha256(canonical).hexdigest()
    key = item_key(document, work)
    for found in ledger.submissions(key):
        if found["state"] in ("queued", "running", "done"):
            return status(Path(found["path"]).parent, ledger) | {"submitted": False}
    _free(out, ledger)
    same_run(out, check_out(out, recipe.digest(), resume=(out / RUN).is_file()), known)
    out.mkdir(parents=True, exist_ok=True)
    (out / QUEUED).write_bytes(canonical)
    job = {"key": key, "data": str(data), **known}
    write_json(out / JOB, job)
    submission = Submission(str(out / QUEUED), document, len(canonical), 1.0)
    batch = ledger.submit(work, [[submission]])
    write_json(out / JOB, job | {"batch": batch})

    from doyen_runtime.batches import ring_batch

    ring_batch(settings, ledger, batch)
    return status(out, ledger) | {"submitted": True}


def _free(out: Path, ledger: Ledger) -> None:
    """Raises TRN-007 where another training waits or runs in ``out``: its recipe there would be replaced."""
    try:
        state = status(out, ledger)["state"]
    except DoyenError:  # none was queued there, or through another ledger
        return
    if state in ("queued", "running"):
        raise DoyenError(
            "TRN-007", f"another training is {state} in {out}.", "Wait for it, or choose another --out."
        )


def status(out: Path, ledger: Ledger) -> dict[str, Any]:
    """What the ledger says about the training in ``out``. Raises TRN-080 when none was queued there."""
    try:
        job = json.loads((out / JOB).read_text(encoding="utf-8"))
        found = ledger.submissions(job["key"])[0]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DoyenError(
            "TRN-080",
            f"no training was queued in {out} ({type(error).__name__}).",
            "Queue one with: doyen train RECIPE --queue --out FOLDER.",
        ) from error
    return {
        "run": str(Path(found["path"]).parent),
        "batch": found["batch_id"],
        "state": found["state"],
        "attempts": found["attempts"],
        "error": f"{found['error_code']}: {found['error_message']}" if found["error_code"] else None,
        "progress": ledger.noted(job["key"]),
        "result": ledger.report(job["key"]),
    }


def review(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 (the digests are in the key)
    """Train in a child process until it ends; the content of ``run.json``. Called by the worker.

    Raises TRN-007 when a file that the recipe names was changed since it was queued.
    """
    lift_time_limit()
    out = path.parent
    job = json.loads((out / JOB).read_text(encoding="utf-8"))
    # The key names what was submitted; another file under the same name would be another training.
    same_run(out, job, identity(read_recipe(path), Path(job["data"])))
    _wait_for(out / LOCK)
    command = [
        sys.executable, "-m", "doyen_runtime", "train", "run", str(path), "--data", job["data"], "--out", str(out),
        "--with-parent", *(["--resume"] if (out / RUN).is_file() else []),
    ]  # fmt: skip
    with (out / "train.log").open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
    marker = _children(os.getppid()) / str(process.pid)
    marker.parent.mkdir(parents=True, exist_ok=True)
    noted: dict[str, Any] = {}
    lock = marker.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # as long as this process lives, the number is that of its child
    try:
        while process.poll() is None:
            time.sleep(0.5)
            if (newest := _newest(out / "events.jsonl")) and newest != noted:
                noted = newest
                note(noted)
    finally:
        marker.unlink(missing_ok=True)
        lock.close()
        if process.poll() is None:  # the worker itself failed: leave no child behind
            process.terminate()
            process.wait()
    if process.returncode == 0:
        run: dict[str, Any] = json.loads((out / RUN).read_text(encoding="utf-8"))
        if run["state"] == "stopped":
            raise WorkStopped
        return run
    if process.returncode == -signal.SIGTERM:  # before its first step
        raise WorkStopped
    raise _failure(process.returncode, (out / "train.log").read_bytes()[begin:].decode(errors="replace"))


@worker_shutting_down.connect(weak=False)
def stop_children(**_: Any) -> None:
    """In the worker's parent process, which alone is told to stop: tell the trainings of its children."""
    with suppress(OSError):
        for marker in _children(os.getpid()).iterdir():
            with marker.open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    marker.unlink()  # left by a process that was killed
                except BlockingIOError:
                    with suppress(ProcessLookupError):
                        os.kill(int(marker.name), signal.SIGTERM)


def refuse_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Trainings are queued by ``doyen train --queue`` alone: it computes the digests. Raises TRN-081."""
    raise DoyenError(
        "TRN-081",
        f"a training is not submitted as a document ({len(options)} options given).",
        "Queue it with: doyen train RECIPE --queue.",
    )


def _children(worker: int) -> Path:
    """The folder in which a worker's trainings leave their process ids."""
    return get_settings().home / "training" / str(worker)


def _wait_for(lock: Path) -> None:
    """Until the child of a worker that was lost has written its last checkpoint."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)


def _newest(events: Path) -> dict[str, Any]:
    """The figures of the last whole line of the event log that has some."""
    try:
        with events.open("rb") as stream:
            stream.seek(max(0, events.stat().st_size - 16384))
            lines = stream.read().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "loss" in event:
                return {name: event[name] for name in NOTED if name in event}
    return {}


def _failure(code: int, log: str) -> Exception:
    """The child's own coded error where it is final; anything else is tried again."""
    last = (log.strip().splitlines() or [""])[-1]
    found = re.fullmatch(r"(?P<code>[A-Z]{3}-\d{3}): (?P<message>.*?)(?: Hint: (?P<hint>.*))?", last)
    if found and found["code"] not in PASSING and not found["code"].startswith("RUN-"):
        return DoyenError(found["code"], found["message"], found["hint"] or "")
    return RuntimeError(f"the training ended with status {code}")


VERTICAL = Vertical(
    name=NAME,
    version=version("doyen-training"),
    pipeline_version=version("doyen-training"),
    suffixes=frozenset({".json"}),
    adapter_digest=lambda: NO_ADAPTER,
    review=review,
    validate_options=refuse_options,
)
