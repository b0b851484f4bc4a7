"""Readers for the corpora that the legal models are trained and measured on.

Formats are those of CUAD (JSON lines, one contract a line) and ContractNLI (CSV of pairs, JSON of documents).
Only fields that a model may see are kept: ContractNLI's ``num_evidence_spans``, for one, gives the label away.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from doyen_legal.labels import LABELS
from doyen_schemas import DoyenError

NLI_LABELS: Final[tuple[str, ...]] = ("entailment", "contradiction", "not_mentioned")


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """A labelled span: ``text == contract.text[start:end]``."""

    label: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A CUAD contract: its text and labelled spans."""

    id: str
    text: str
    spans: tuple[GoldSpan, ...]


@dataclass(frozen=True, slots=True)
class NliPair:
    """A ContractNLI pair; ``label`` indexes ``NLI_LABELS``."""

    evidence: str
    hypothesis: str
    label: int


def open_text(path: Path) -> IO[str]:
    """Open a text file, gzipped or not. Raises LEG-001 when it is not there."""
    if not path.is_file():
        raise DoyenError(
            "LEG-001",
            f"data file not found: {path}.",
            "Name an existing file with --data, or set DOYEN_DATA.",
        )
    with path.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if zipped else path.open(encoding="utf-8")


def read_cuad(path: Path, limit: int | None = None) -> Iterator[Contract]:
    """Contracts of a CUAD file: ``{"id", "text", "spans": [{"label", "start", "end", "text"}]}`` a line.

    Raises LEG-001 (no file) and LEG-002 (a line that breaks the format, with its number).
    """
    with open_text(path) as file:
        try:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                if limit is not None and limit <= 0:
                    return
                yield _contract(line, number, path)
                if limit is not None:
                    limit -= 1
        except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
            raise DoyenError(
                "LEG-002",
                f"{path.name} cannot be decoded ({type(error).__name__}).",
                "It must be UTF-8 JSON lines.",
            ) from error


def _contract(line: str, number: int, path: Path) -> Contract:
    try:
        row = json.loads(line)
        spans = tuple(GoldSpan(s["label"], int(s["start"]), int(s["end"]), s["text"]) for s in row["spans"])
        contract = Contract(str(row["id"]), row["text"], spans)
        wrong = next((s for s in spans if s.label not in LABELS), None)
        if wrong is not None:
            raise ValueError(f"label {wrong.label!r} is none of the 41 CUAD labels")
        moved = next((s for s in spans if contract.text[s.start : s.end] != s.text), None)
        if moved is not None:
            raise ValueError(f"span [{moved.start}, {moved.end}) does not hold its text")
    except (KeyError, TypeError, ValueError) as error:
        what = f"missing field {error}" if isinstance(error, KeyError) else str(error)
        if isinstance(error, json.JSONDecodeError):
            what = "not a JSON object"
        raise DoyenError(
            "LEG-002",
            f"line {number} of {path.name}: {what}.",
            'Each line is {"id", "text", "spans": [{"label", "start", "end", "text"}]}.',
        ) from error
    return contract


def read_nli_pairs(path: Path, limit: int | None = None) -> list[NliPair]:
    """Pairs of a ContractNLI CSV: ``concatenated_spans, hypothesis, label`` are read, nothing else."""
    pairs: list[NliPair] = []
    csv.field_size_limit(10_000_000)
    with open_text(path) as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if limit is not None and len(pairs) >= limit:
                break
            try:
                pair = NliPair(row["concatenated_spans"], row["hypothesis"], int(row["label"]))
                if not 0 <= pair.label < len(NLI_LABELS):
                    raise ValueError(f"label {pair.label}")
            except (KeyError, TypeError, ValueError) as error:
                raise DoyenError(
                    "LEG-002",
                    f"row {number} of {path.name}: bad or missing field {error}.",
                    "The CSV has the columns concatenated_spans, hypothesis and label (0, 1 or 2).",
                ) from error
            pairs.append(pair)
    return pairs
