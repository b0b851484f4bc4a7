"""TAT-QA's JSON (Zhu et al. 2021): contexts with their questions and gold answers."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from doyen_finance.questions.model import Context, Table
from doyen_finance.questions.tables import read_table, whole
from doyen_schemas import DoyenError

TEST_SHARE: Final = 5
MAX_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Gold:
    """The truth of one question."""

    answer: Any
    kind: str
    source: str
    scale: str
    derivation: str


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its context and truth; ``group`` is the context's uid."""

    uid: str
    group: str
    question: str
    context: Context
    gold: Gold


def is_held_out(group: str) -> bool:
    """Whether a context belongs to the fifth that is never trained on, by the hash of its uid."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % TEST_SHARE == 0


def read_items(path: Path, limit: int | None = None) -> list[Item]:
    """The first ``limit`` questions of a file, plain or gzipped. Raises FIN-080 (no file, or another format)."""
    found: list[Item] = []
    try:
        opener: Any = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError("size")
        for entry in json.loads(raw):
            paragraphs = sorted(entry["paragraphs"], key=lambda p: int(p["order"]))
            table = _table(entry["table"]["table"])
            context = Context(table, tuple(whole(str(p["text"])) for p in paragraphs))
            group = str(entry["table"]["uid"])
            for q in entry["questions"]:
                gold = Gold(
                    q["answer"],
                    str(q["answer_type"]),
                    str(q.get("answer_from") or ""),
                    str(q.get("scale") or ""),
                    str(q.get("derivation") or ""),
                )
                found.append(Item(str(q["uid"]), group, str(q["question"]), context, gold))
                if limit is not None and len(found) >= limit:
                    return found
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error,
    ) as error:  # fmt: skip
        raise DoyenError(
            "FIN-080",
            f"{path.name} cannot be read as TAT-QA, after {len(found)} questions ({type(error).__name__}).",
            'It is a JSON list of {"table": {"uid", "table"}, "paragraphs", "questions"}, plain or .gz.',
        ) from error
    if not found:
        raise DoyenError("FIN-080", f"{path.name} has no question.", "Give a TAT-QA file with gold answers.")
    return found


def _table(grid: Any) -> Table:
    """The table, or one without cells where there is none that can be read: its questions still count."""
    try:
        return read_table(grid)
    except DoyenError:
        return Table((), (), ())
