"""What a worker process does with a shard: claim, verify, review, record, one document after another."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from doyen_runtime import verticals
from doyen_runtime.adapters import file_sha256
from doyen_runtime.failures import describe
from doyen_runtime.ledger import Claim, Ledger, pack
from doyen_runtime.verticals import Vertical
from doyen_schemas import DoyenError

logger = logging.getLogger(__name__)


class TimeLimitExceeded(BaseException):
    """A document took too long. Not an ``Exception``: a vertical that goes on after any error must not catch it."""


class WorkStopped(Exception):
    """Raised by a review whose worker is going away: the item is given back, and no attempt is used up."""


_at_work: ContextVar[tuple[Ledger, Claim]] = ContextVar("doyen_at_work")


def note(value: Mapping[str, Any]) -> None:
    """For long reviews: record in the ledger how far the work is. JSON-able figures, no document text."""
    ledger, claim = _at_work.get()
    ledger.note(claim, value)


def lift_time_limit() -> None:
    """For reviews that may take hours and watch themselves: no time limit for this item."""
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)
    faulthandler.cancel_dump_traceback_later()


def run_shard(ledger: Ledger, batch_id: str, number: int, *, document_seconds: float) -> int:
    """Work on a shard until nothing is left to claim; the number of items worked on.

    Between two documents the ledger decides whether to go on: a cancelled batch has nothing to claim.
    """
    me = f"{socket.gethostname()}:{os.getpid()}"
    count = 0
    while (claim := ledger.claim(batch_id, number, me)) is not None:
        count += 1
        if run_item(ledger, claim, document_seconds=document_seconds) == "released":
            break
    return count


def run_item(
    ledger: Ledger,
    claim: Claim,
    *,
    document_seconds: float,
    load: Callable[[str], tuple[Vertical, str]] | None = None,
) -> str:
    """Review one claimed document and record the outcome; the item's new state.

    A DoyenError is the document's own and final. Anything else (a fault, the time limit) may be the machine's
    and is tried again until the attempts are used up.
    """
    started = time.monotonic()
    extra = {
        "batch": claim.batch_id,
        "key": claim.key,
        "document": claim.document_sha256,
        "attempt": claim.attempt,
    }
    state: str | None
    try:
        with heartbeat(ledger, claim), time_limit(document_seconds):
            held = _at_work.set((ledger, claim))
            try:
                packed = _review(claim, load or loaded)
            finally:
                _at_work.reset(held)
    except WorkStopped:
        state, code = ("released" if ledger.release(claim) else None), ""
    except DoyenError as error:
        state = ledger.fail(claim, error.code, error.message, final=True)
        code = error.code
    except TimeLimitExceeded:
        code = "RUN-032"
        message = f"the review took longer than {document_seconds:g} seconds (DOYEN_DOCUMENT_SECONDS)"
        state = ledger.fail(claim, code, message, final=False)
    except (Exception, SystemExit) as error:
        code = "RUN-033"
        state = ledger.fail(claim, code, f"unexpected {describe(error)}", final=False)
        logger.warning("review failed unexpectedly", extra=extra, exc_info=error)
    else:
        code = ""
        state = "done" if ledger.complete(claim, packed, time.monotonic() - started) else None
    seconds = round(time.monotonic() - started, 3)
    logger.info("item settled", extra={**extra, "state": state or "lost", "code": code, "seconds": seconds})
    return state or "lost"


def _review(claim: Claim, load: Callable[[str], tuple[Vertical, str]]) -> bytes:
    vertical, adapter_digest = load(claim.work.vertical)
    submitted = (claim.work.pipeline_version, claim.work.adapter_digest)
    if (vertical.pipeline_version, adapter_digest) != submitted:
        raise DoyenError(
            "RUN-035",
            f"submitted for {vertical.name} pipeline {submitted[0]} with adapter {submitted[1][:12]}, but this worker"
            f" has pipeline {vertical.pipeline_version} with adapter {adapter_digest[:12]}",
            "Submit the documents again for the installed version.",
        )
    path = Path(claim.path)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise DoyenError(
            "RUN-031",
            f"the submitted file cannot be read ({type(error).__name__})",
            "Put it back, or make the folder visible to the workers, then doyen batch retry.",
        ) from error
    if found != claim.document_sha256:
        raise DoyenError(
            "RUN-030",
            f"the file has changed since it was submitted (sha256 then {claim.document_sha256}, now {found})",
            "Submit it again.",
        )
    report = vertical.review(path, claim.work.options)
    try:
        return pack(report)
    except (TypeError, ValueError) as error:
        raise DoyenError(
            "RUN-036",
            f"the report of {vertical.name} {vertical.version} is not JSON ({type(error).__name__})",
            "This is a fault of the vertical; report it.",
        ) from error


@cache
def loaded(name: str) -> tuple[Vertical, str]:
    """The vertical and the digest of its adapter, once per process. Models load at the first review."""
    vertical = verticals.load(name)
    return vertical, vertical.adapter_digest()


@contextmanager
def heartbeat(ledger: Ledger, claim: Claim) -> Iterator[None]:
    """Extend the lease from a thread while the block runs."""
    stopped = threading.Event()

    def beat() -> None:
        while not stopped.wait(ledger.lease_seconds / 3):
            try:
                if not ledger.heartbeat(claim):
                    logger.warning("lease lost", extra={"batch": claim.batch_id, "key": claim.key})
                    return
            except Exception as error:  # the database may be back at the next beat
                logger.warning("heartbeat failed", extra={"batch": claim.batch_id}, exc_info=error)

    thread = threading.Thread(target=beat, name="doyen-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeLimitExceeded` in the block after ``seconds``; end the process if even that does not help.

    Celery's soft limit covers a whole shard and is ignored by some pools. An alarm reaches Python code; code in C
    that never returns to Python is ended by faulthandler's watchdog, which needs no interpreter. The ledger then
    counts a lost worker.
    """

    def on_alarm(_signal: int, _frame: Any) -> None:
        raise TimeLimitExceeded

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread:  # alarms reach the main thread only; prefork children work in theirs
        yield
        return
    before = signal.signal(signal.SIGALRM, on_alarm)
    faulthandler.dump_traceback_later(1.25 * seconds + 1, exit=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
