"""Contracts for the bench: running text to pre-train on, and clauses whose type is to be named.

The file is CUAD's (Hendrycks et al. 2021, arXiv 2103.06268) as JSON lines, gzipped or not:
``{"id", "text", "spans": [{"label", "start", "end"}]}``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from doyen_data import Message, Record
from doyen_schemas import DoyenError

# fit and hold are the two parts of train on which learning rates are chosen: see doyen_training.verify.rates.
Split = Literal["train", "dev", "fit", "hold"]
CLAUSE_CHARACTERS: Final = range(60, 261)
CLASSES: Final = 10
DEV_SHARE: Final = 0.25
HOLD_SHARE: Final = 0.3  # of the train contracts


@dataclass(frozen=True, slots=True)
class Clause:
    """A labelled stretch of a contract."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract and its labelled clauses of the length that the bench uses."""

    id: str
    text: str
    clauses: tuple[Clause, ...]


def read_contracts(file: Path | None) -> list[Contract]:
    """Contracts of a CUAD file. Raises TRN-090 (no file named or none there), TRN-091 (a line breaks the format)."""
    if file is None or not file.is_file():
        what = "no data file was named" if file is None else f"data file not found: {file}"
        raise DoyenError(
            "TRN-090",
            f"{what}; the bench learns from real contracts and none are shipped.",
            "Name CUAD's train.jsonl or train.jsonl.gz with --data.",
        )
    with file.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    contracts = []
    number = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") if zipped else file.open(encoding="utf-8") as stream:
            for line in stream:
                number += 1
                if line.strip():
                    contracts.append(_contract(json.loads(line)))
    except (KeyError, TypeError, ValueError, EOFError, gzip.BadGzipFile) as error:
        what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else type(error).__name__
        raise DoyenError(
            "TRN-091",
            f"{file.name} breaks the format at line {max(1, number)} ({what}).",
            'Each line is {"id", "text", "spans": [{"label", "start", "end"}]}, in UTF-8.',
        ) from error
    if len({clause.label for c in contracts for clause in c.clauses}) < 2:
        raise DoyenError(
            "TRN-091",
            f"{file.name} holds clauses of fewer than two types.",
            'Each line is {"id", "text", "spans": [{"label", "start", "end"}]}, in UTF-8.',
        )
    return contracts


def _contract(row: dict[str, object]) -> Contract:
    text, spans = row["text"], row["spans"]
    if not isinstance(text, str) or not isinstance(spans, list):
        raise TypeError
    clauses = [
        Clause(str(s["label"]), " ".join(text[int(s["start"]) : int(s["end"])].split())) for s in spans
    ]
    return Contract(
        str(row["id"]), text, tuple(clause for clause in clauses if len(clause.text) in CLAUSE_CHARACTERS)
    )


def in_split(contract: Contract, split: Split) -> bool:
    """Whether a contract belongs to a split, by its id: the same whatever else the file holds."""
    digest = hashlib.sha256(contract.id.encode()).digest()
    dev, hold = (
        int.from_bytes(part) < share * 2**32
        for part, share in ((digest[:4], DEV_SHARE), (digest[4:8], HOLD_SHARE))
    )
    match split:
        case "dev":
            return dev
        case "train":
            return not dev
        case "fit":
            return not dev and not hold
        case "hold":
            return not dev and hold


def class_names(contracts: Iterable[Contract], first_token: dict[str, int]) -> list[str]:
    """The most frequent clause types that differ in their first token (``first_token``: type to token id).

    So the type can be ranked by likelihood in one forward pass: the first token of the answer decides.
    """
    counts = Counter(clause.label for contract in contracts for clause in contract.clauses)
    names: dict[int, str] = {}
    for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        names.setdefault(first_token[label], label)
    return list(names.values())[:CLASSES]


def clause_records(contracts: Sequence[Contract], names: Sequence[str], split: Split) -> list[Record]:
    """One record a clause: the clause is the question and its type the answer.

    A text that carries two types is left out, and a text counts once: nothing in dev stands in train.
    """
    types: dict[str, set[str]] = {}
    home: dict[str, Contract] = {}
    for contract in contracts:
        for clause in contract.clauses:
            types.setdefault(clause.text, set()).add(clause.label)
            home.setdefault(clause.text, contract)
    return [
        Record(
            id=f"{contract.id}#{number}",
            group=contract.id,
            messages=(Message(role="user", content=text), Message(role="assistant", content=label)),
        )
        for number, (text, contract) in enumerate(home.items())
        if len(types[text]) == 1 and (label := next(iter(types[text]))) in names and in_split(contract, split)
    ]
