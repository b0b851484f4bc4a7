"""The sentiment corpora: SEntFiN headlines, TFNS tweets and PhraseBank sentences, read from their own formats."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from doyen_finance.sentiment.text import digest
from doyen_schemas import DoyenError

LABELS: Final = ("negative", "neutral", "positive")
NEGATIVE, NEUTRAL, POSITIVE = range(3)
TFNS_LABELS: Final = {"0": NEGATIVE, "1": POSITIVE, "2": NEUTRAL}
DEV_SHARE: Final = 8  # one tweet in eight is dev
# A search and replace in the published file put a polarity where these words stood inside a name.
_REPAIRS: Final = (
    ("neutral", ("Hold", "hold")),
    ("negative", ("Sell", "sell")),
    ("positive", ("Buy", "buy")),
)


class Target(NamedTuple):
    """A text, the characters of it that the sentiment is asked of, and the sentiment's number in ``LABELS``.

    No span asks of the whole text.
    """

    text: str
    spans: tuple[tuple[int, int], ...] = ()
    label: int = NEUTRAL


class Headline(NamedTuple):
    """A headline and its targets: an entity each."""

    title: str
    targets: tuple[Target, ...]


class Flags(NamedTuple):
    """Rows that were left out, and why; rows that repeat another and entities not written in theirs are kept."""

    empty: int = 0
    unreadable: int = 0
    duplicates: int = 0
    unlocated: int = 0


def read_tfns(path: Path) -> tuple[list[Target], Flags]:
    """Tweets of a CSV with ``text`` and ``label`` (0 bearish, 1 bullish, 2 neutral). Raises FIN-040, FIN-041."""
    reader = csv.DictReader(io.StringIO(_content(path, "utf-8-sig")))
    if not {"text", "label"} <= set(reader.fieldnames or ()):
        raise _malformed(path, f"columns are {list(reader.fieldnames or ())[:6]}, not text and label")
    rows = []
    try:
        for row in reader:
            rows.append((row["text"] or "", TFNS_LABELS.get(_as_class(row["label"]))))
    except csv.Error as error:
        raise _malformed(path, str(error)) from error
    return _kept(path, rows)


def read_phrasebank(path: Path) -> tuple[list[Target], Flags]:
    """Sentences of ``sentence@label`` lines, Latin-1. Raises FIN-040, FIN-041."""
    rows = []
    for line in _lines(path, "latin-1"):
        if not line.strip():
            continue
        sentence, at, label = line.rpartition("@")
        if not at:  # a sentence without label
            sentence, label = label, ""
        rows.append((sentence, LABELS.index(label.strip()) if label.strip() in LABELS else None))
    return _kept(path, rows)


def read_sentfin(path: Path) -> tuple[list[Headline], Flags]:
    """Headlines of JSON lines ``{title, entities: [{name, sentiment}]}``. Raises FIN-040, FIN-041.

    Entities without name or known sentiment are counted as unreadable, headlines without title as empty.
    """
    headlines, seen = [], set[str]()
    empty = unreadable = duplicates = unlocated = 0
    for line in _lines(path, "utf-8-sig"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            title, entities = row["title"], row["entities"]
            if not isinstance(title, str | None) or not isinstance(entities, list):
                raise TypeError("title is no text or entities no list")
            (title or "").encode()  # JSON can escape half a character, which is no text
        except (ValueError, KeyError, TypeError, RecursionError):
            unreadable += 1
            continue
        if not title or not title.strip():
            empty += 1
            continue
        targets = []
        for entity in entities:
            name, sentiment = _named(entity)
            if not name or sentiment not in LABELS:
                unreadable += 1
                continue
            spans = located(title, name)
            unlocated += not spans
            # An entity that is not written in its headline: the headline as a whole is marked.
            targets.append(Target(title, spans or ((0, len(title)),), LABELS.index(sentiment)))
        duplicates += title in seen
        seen.add(title)
        headlines.append(Headline(title, tuple(targets)))
    if not any(headline.targets for headline in headlines):
        raise _malformed(path, "no headline has an entity with name and sentiment")
    return headlines, Flags(empty, unreadable, duplicates, unlocated)


def read_texts(path: Path) -> list[str]:
    """The texts of a corpus file, told apart by its name: JSON lines, CSV, else lines. Raises FIN-040, FIN-041."""
    return (
        [t.text for t in read_targets(path)[0]]
        if not _is_json(path)
        else [headline.title for headline in read_sentfin(path)[0]]
    )


def read_targets(path: Path) -> tuple[list[Target], Flags]:
    """The targets of a corpus file, told apart by its name as in ``read_texts``. Raises FIN-040, FIN-041."""
    if _is_json(path):
        headlines, flags = read_sentfin(path)
        return [t for headline in headlines for t in headline.targets], flags
    return read_tfns(path) if ".csv" in path.suffixes else read_phrasebank(path)


def _is_json(path: Path) -> bool:
    return bool({".jsonl", ".json"} & {*path.suffixes})


def located(text: str, name: str) -> tuple[tuple[int, int], ...]:
    """Where ``name`` is written in ``text``: as whole words, else inside of words; case does not matter."""
    for candidate in (name, *_repaired(name)):
        for pattern in (rf"(?<!\w){re.escape(candidate)}(?!\w)", re.escape(candidate)):
            spans = tuple(match.span() for match in re.finditer(pattern, text, re.IGNORECASE))
            if spans:
                return spans
    return ()


def split(targets: Sequence[Target]) -> tuple[list[Target], list[Target]]:
    """Train and dev by a hash of the canonical text: copies of a tweet, whatever their link, stay together."""
    train = [t for t in targets if digest(t.text) % DEV_SHARE]
    dev = [t for t in targets if not digest(t.text) % DEV_SHARE]
    return train, dev


def _repaired(name: str) -> Iterator[str]:
    for polarity, originals in _REPAIRS:
        if polarity in name:
            yield from (name.replace(polarity, original) for original in originals)


def _named(entity: Any) -> tuple[str, Any]:
    if not isinstance(entity, dict) or not isinstance(entity.get("name"), str):
        return "", None
    return entity["name"].strip(), entity.get("sentiment")


def _as_class(value: str | None) -> str:
    """``"1.0"`` as ``"1"``: tables written with missing labels hold floats."""
    try:
        number = float(value or "nan")
    except ValueError:
        return ""
    return str(int(number)) if math.isfinite(number) and number == int(number) else ""


def _kept(path: Path, rows: Sequence[tuple[str, int | None]]) -> tuple[list[Target], Flags]:
    """The rows that have text and label; the rest is counted."""
    kept: list[Target] = []
    seen = set[str]()
    empty = unreadable = duplicates = 0
    for text, label in rows:
        if not text.strip() or text.strip().lower() == "nan":
            empty += 1
        elif label is None:
            unreadable += 1
        else:
            duplicates += text in seen
            seen.add(text)
            kept.append(Target(text, (), label))
    if not kept:
        raise _malformed(path, "no row has both a text and a known label")
    return kept, Flags(empty, unreadable, duplicates)


def _lines(path: Path, encoding: str) -> list[str]:
    """The lines, parted at line feeds alone: Latin-1's 0x85 and JSON's U+2028 stand inside sentences."""
    return _content(path, encoding).split("\n")


def _content(path: Path, encoding: str) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(encoding)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DoyenError(
            "FIN-040",
            f"{path.name} cannot be read ({type(error).__name__}).",
            "Give a readable file of the benchmark's own format, plain or gzip.",
        ) from error


def _malformed(path: Path, why: str) -> DoyenError:
    return DoyenError(
        "FIN-041",
        f"{path.name} is not a corpus of this kind: {why}.",
        "sentfin: JSON lines; tfns: CSV with text and label; phrasebank: sentence@label lines.",
    )
