"""The append-only audit log: who ranked or decided what, with which knowledge and weights. No patient text.

JSON Lines, each forced to the disk before the call returns. Every entry holds the digest of the one before, so that a
line altered, inserted or removed is noticed; the head file beside the log (``….head``) keeps the count and the last
digest, so that lines cut from the end are noticed too. Whoever can write both files can forge both: keep the head's
digest elsewhere (``doyen medical audit verify --expect``) where that matters.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doyen_medical.report.model import MedicalReport
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

TOP: Final = 10
_FIRST: Final = "0" * 64
_LONGEST: Final = 100_000
_HINT: Final = "Put the file aside for inspection; doyen medical audit verify FILE says which line."

Action = Literal["ranked", "signed", "ranked-again"]


class Entry(BaseModel):
    """One line. ``ranks`` are disease codes with probabilities; ``abstained`` is the reason's code or empty."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    number: int
    time: str
    who: str
    action: Action
    input_sha256: str
    report_sha256: str
    knowledge: str
    versions: dict[str, str] = Field(default_factory=dict)
    ranks: list[tuple[str, float]] = Field(default_factory=list)
    abstained: str = ""
    decision: Literal["", "accept", "reject"] = ""
    previous: str
    hash: str = ""

    def digest(self) -> str:
        """sha256 over everything but ``hash``."""
        content = self.model_dump(mode="json", exclude={"hash"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Check(NamedTuple):
    """A log that is whole: how many entries, and the last one's digest."""

    entries: int
    last: str
    head: bool


def default_file() -> Path:
    """``medical/audit.jsonl`` below Doyen's home."""
    return get_settings().home / "medical" / "audit.jsonl"


def this_person() -> str:
    """The account that runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def record(
    report: MedicalReport, action: Action, *, who: str | None = None, decision: Literal["", "accept", "reject"] = "",
    file: Path | None = None,
) -> Entry:  # fmt: skip
    """Append an entry on a report and return it; several processes may do so at once.

    Raises MED-070 (the file cannot be written) and MED-071 (its end is damaged, or lines are missing there).
    """
    file = file or default_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise DoyenError(
            "MED-070", f"the audit log {file} cannot be written ({error.strerror}).", "Name a writable file."
        ) from error
    with os.fdopen(handle, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        last = _last(stream, file)
        entry = Entry(
            number=last.number + 1 if last else 1,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            who=who or this_person(),
            action=action,
            input_sha256=report.input_sha256,
            report_sha256=report.sha256(),
            knowledge=report.knowledge_version,
            versions=report.versions,
            ranks=[(candidate.code, candidate.probability) for candidate in report.candidates[:TOP]],
            abstained=report.abstained.reason if report.abstained else "",
            decision=decision,
            previous=last.hash if last else _FIRST,
        )
        entry = entry.model_copy(update={"hash": entry.digest()})
        stream.seek(0, os.SEEK_END)
        stream.write(entry.model_dump_json().encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
        _write_head(file, entry)
    return entry


def verify(file: Path, expect: str = "") -> Check:
    """Check every line of a log, and its end against the head file and the digest ``expect``.

    Raises MED-070 (cannot be read), MED-071 with the first line that is wrong.
    """
    previous, last = _FIRST, None
    for number, entry in _entries(file):
        if entry.hash != entry.digest():
            raise _broken(file, f"line {number} was altered")
        if entry.previous != previous or entry.number != number:
            raise _broken(
                file, f"line {number} does not follow the one before: a line is missing or was moved"
            )
        previous, last = entry.hash, entry
    head = _read_head(file)
    if head is not None:
        _check_head(file, head, last)
    count = last.number if last else 0
    if expect and not any(entry.hash == expect for _, entry in _entries(file)):
        raise _broken(file, f"no entry has the digest {expect[:16]}…: lines are missing at the end")
    return Check(count, previous, head is not None)


def logged(report_sha256: str, file: Path) -> bool:
    """Whether the log says that exactly this report was ranked."""
    if not file.is_file():
        return False
    return any(
        entry.report_sha256 == report_sha256 and entry.action != "signed" for _, entry in _entries(file)
    )


def entries(file: Path) -> Iterator[Entry]:
    """The entries in order, unchecked. Raises MED-070 and MED-071 (a line that is no entry)."""
    for _, entry in _entries(file):
        yield entry


def _entries(file: Path) -> Iterator[tuple[int, Entry]]:
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield number, _parsed(line, file, f"line {number}")
    except OSError as error:
        raise DoyenError(
            "MED-070", f"the audit log {file} cannot be read ({error.strerror}).", "Name an audit log."
        ) from error


def _parsed(line: bytes, file: Path, where: str) -> Entry:
    try:
        if not line.endswith(b"\n"):
            raise ValueError
        return Entry.model_validate_json(line)
    except (ValidationError, ValueError) as error:
        raise _broken(file, f"{where} is no whole entry") from error


def _last(stream: Any, file: Path) -> Entry | None:
    """The last entry, so that the next one follows it; checked against the head, so that a cut is not built upon."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _LONGEST))
    lines = stream.read().splitlines(keepends=True)
    last = _parsed(lines[-1], file, "the last line") if lines else None
    head = _read_head(file)
    if head is not None and (last is None or head[0] > last.number):
        raise _broken(file, f"{head[0] - (last.number if last else 0)} line(s) are missing at the end")
    return last


def _head_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.head")


def _write_head(file: Path, entry: Entry) -> None:
    part = file.with_name(f"{file.name}.head.part")
    with part.open("w") as stream:
        stream.write(f"{entry.number} {entry.hash}\n")
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(_head_file(file))


def _read_head(file: Path) -> tuple[int, str] | None:
    try:
        number, digest = _head_file(file).read_text().split()
        return int(number), digest
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _broken(file, "its head file is damaged") from error


def _check_head(file: Path, head: tuple[int, str], last: Entry | None) -> None:
    """A log may be longer than its head says (a machine that died in between), never shorter or another."""
    if last is None or last.number < head[0]:
        missing = head[0] - (last.number if last else 0)
        raise _broken(file, f"{missing} line(s) are missing at the end")
    if not any(entry.number == head[0] and entry.hash == head[1] for _, entry in _entries(file)):
        raise _broken(file, f"entry {head[0]} is not the one that its head file names")


def _broken(file: Path, what: str) -> DoyenError:
    return DoyenError("MED-071", f"the audit log {file.name} is not whole: {what}.", _HINT)
