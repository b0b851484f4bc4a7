"""The training record: a conversation whose assistant turns are learned.

JSON lines, one record a line::

    {"id": "c12-3", "group": "c12", "messages": [{"role": "system", "content": "…"}, …]}
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from doyen_schemas import DoyenError

MAX_SHOWN = 20


class Message(BaseModel):
    """One turn.

    ``train`` marks an assistant's turn as learned or not, for recipes that learn marked turns. ``false`` marks the
    stretches of it that say something false, as characters from and to: they are never learned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1)
    train: bool | None = None
    false: Annotated[tuple[tuple[int, int], ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _learnable(self) -> Message:
        if self.train and self.role != "assistant":
            raise ValueError(f"only an assistant's turn can be learned, this is the {self.role}'s")
        if self.false is not None and self.role != "assistant":
            raise ValueError(f"only an assistant's turn can be marked as false, this is the {self.role}'s")
        end = 0
        for start, stop in self.false or ():
            if not end <= start < stop <= len(self.content):
                raise ValueError(
                    f"false stretches rise and lie within the turn's {len(self.content)} characters, "
                    f"[{start}, {stop}] does not"
                )
            end = stop
        return self

    @property
    def turn(self) -> dict[str, str]:
        """Role and content, as chat templates take them."""
        return {"role": self.role, "content": self.content}


class Record(BaseModel):
    """A conversation. ``group`` names what must not be split, such as the document that it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    group: str = ""
    messages: tuple[Message, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _turns(self) -> Record:
        roles = [message.role for message in self.messages]
        if "system" in roles[1:]:
            raise ValueError("a system message stands first or not at all")
        if roles[-1] != "assistant":
            raise ValueError(f"the last message is the assistant's, found {roles[-1]!r}")
        return self


def read_records(path: Path) -> list[Record]:
    """Read a file of records. Raises DAT-001 (no such file) and DAT-002 with every wrong line's number and rule."""
    if not path.is_file():
        raise DoyenError("DAT-001", f"record file not found: {path}.", "Name an existing JSON-lines file.")
    records: list[Record] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    try:
        # Not splitlines(): it also splits at characters such as U+2028, which may stand inside a JSON string.
        for number, line in enumerate(path.read_bytes().decode().split("\n"), start=1):
            if not line.strip():
                continue
            try:
                record = Record.model_validate_json(line)
            except ValidationError as error:
                problems.append(f"line {number}: {_rules(error)}")
                continue
            if record.id in seen:
                problems.append(f"line {number}: id {record.id!r} is that of line {seen[record.id]}")
            seen[record.id] = number
            records.append(record)
    except UnicodeDecodeError as error:
        line_number = error.object[: error.start].count(b"\n") + 1
        raise DoyenError(
            "DAT-002",
            f"{path.name} is not UTF-8 (line {line_number}, byte {error.start}).",
            "Save the whole file as UTF-8.",
        ) from error
    if problems:
        more = f"; and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
        raise DoyenError(
            "DAT-002",
            f"{path.name} has {len(problems)} wrong line(s): {'; '.join(problems[:MAX_SHOWN])}{more}.",
            'A line is {"id", "group", "messages": [{"role", "content", "train"?}, …]}, nothing else.',
        )
    if not records:
        raise DoyenError("DAT-003", f"{path.name} holds no record.", "Write at least one record.")
    return records


def _rules(error: ValidationError) -> str:
    """Places and rules, without the values: they may be document text."""
    parts = []
    for item in error.errors(include_input=False, include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        parts.append(f"{where}: {item['msg']}" if where else item["msg"])
    return ", ".join(parts)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records, replacing the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    with scratch.open("w", encoding="utf-8") as file:
        file.writelines(record.model_dump_json(exclude_none=True) + "\n" for record in records)
    os.replace(scratch, path)


def dataset_digest(records: Iterable[Record]) -> str:
    """sha256 over the records in their order; independent of the file's formatting."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(
            json.dumps(record.model_dump(exclude_none=True), sort_keys=True, ensure_ascii=False).encode()
            + b"\n"
        )
    return digest.hexdigest()


def sample(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """``count`` records drawn without replacement, in their order; all of them when there are no more."""
    if count >= len(records):
        return list(records)
    return [records[i] for i in sorted(random.Random(seed).sample(range(len(records)), count))]


def split_groups(records: Sequence[Record], share: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Split by group: ``(rest, held out)`` with about ``share`` of the groups held out.

    A group's side depends on its name and the seed alone, so adding records moves none. A record without a group
    is its own. Raises DAT-004 unless 0 < share < 1.
    """
    if not 0 < share < 1:
        raise DoyenError("DAT-004", f"share {share} must lie between 0 and 1.", "A tenth is common: 0.1.")
    rest: list[Record] = []
    held: list[Record] = []
    for record in records:
        name = f"{seed}:{record.group or record.id}".encode()
        draw = int.from_bytes(hashlib.sha256(name).digest()[:8], "big") / 2**64
        (held if draw < share else rest).append(record)
    return rest, held
