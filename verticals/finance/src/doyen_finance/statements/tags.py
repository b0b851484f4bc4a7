"""Rows to us-gaap elements: the labelled rows of other companies' statements that read most alike, by character n-grams.

A nearest-neighbour vote (cosine of hashed TF-IDF of 2 to 5 characters) among rows of the same kind of statement and
unit. The memory is trained by ``doyen finance train statement-tags``.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_finance.statements.model import Statement

PART: Final = "statements"
DIMENSIONS: Final = 2**14
KINDS: Final = ("balance", "income", "comprehensive", "cash_flow", "equity")
UNITS: Final = ("currency", "currency_per_share", "shares", "percent")
# Weights of the section's words, of agreement on noncontrolling interests and on instants; and of the vote.
SECTION: Final = 0.3
SAME_INTERESTS: Final = 0.3
SAME_INSTANT: Final = 0.2
SHARPNESS: Final = 8.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RowText:
    """What a row is told by: kind, unit, label, section above, whether an instant, and whether the company has
    noncontrolling interests (which decides between elements that else read alike)."""

    kind: str
    unit: str
    label: str
    section: str
    is_instant: bool
    has_interests: bool


@dataclass(frozen=True, slots=True)
class TagMemory:
    """Labelled rows, N: sparse vectors by row (CSR), and their codes; ``idf`` of the dimensions, D."""

    indices: NDArray[np.int64]
    values: Floats
    starts: NDArray[np.int64]
    codes_N: NDArray[np.int64]
    tags_N: NDArray[np.int64]
    idf_D: Floats
    names: tuple[str, ...]

    def predict(self, rows: Sequence[RowText]) -> list[tuple[str, float] | None]:
        """The element with most votes and its share of them; None where no row of the kind and unit is known."""
        return [self._predict(row) for row in rows]

    def _predict(self, row: RowText) -> tuple[str, float] | None:
        query_D = np.zeros(DIMENSIONS, dtype=np.float32)
        at, weights = vector(row, self.idf_D)
        query_D[at] = weights
        products = np.add.reduceat(
            np.append(query_D[self.indices] * self.values, np.float32(0)), self.starts[:-1]
        )
        code = code_of(row)
        same = (self.codes_N >> 2) == (code >> 2)
        if not same.any():
            return None
        agree = SAME_INSTANT * ((self.codes_N & 1) == (code & 1)) + SAME_INTERESTS * (
            (self.codes_N & 2) == (code & 2)
        )
        votes = np.exp(SHARPNESS * (products + agree - products.max())) * same
        totals = np.bincount(self.tags_N, votes, minlength=len(self.names))
        best = int(totals.argmax())
        return self.names[best], float(totals[best] / totals.sum())


def code_of(row: RowText) -> int:
    """Kind, unit, noncontrolling interests and instant in one number; the last two bits are the latter two."""
    base = KINDS.index(row.kind) * len(UNITS) + UNITS.index(row.unit)
    return (base << 2) | (2 * row.has_interests) | int(row.is_instant)


def plain(text: str) -> str:
    """Lower case, amounts as 0, punctuation as spaces."""
    return " ".join(
        re.sub(r"[^a-z0-9\u4e00-\u9fff]+", " ", re.sub(r"\(?\$?\d[\d.,]*\)?", "0", text.lower())).split()
    )


def grams(row: RowText) -> Iterator[tuple[str, float]]:
    """The features of a row with their weights: n-grams within the label's words, and the section's words."""
    for word in plain(row.label).split():
        padded = f" {word} "
        for size in range(2, 6):
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size], 1.0
    for word in set(plain(row.section).split()):
        yield f"section {word}", SECTION


def vector(row: RowText, idf_D: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Dimensions and weights of a row: sublinear counts times idf, of length one."""
    counts: Counter[int] = Counter()
    weight: dict[int, float] = {}
    for gram, factor in grams(row):
        at = zlib.crc32(gram.encode()) % DIMENSIONS
        counts[at] += 1
        weight[at] = factor
    at_K = np.array(sorted(counts), dtype=np.int64)
    values_K = np.array([weight[k] * (1 + np.log(counts[k])) for k in sorted(counts)], dtype=np.float32)
    values_K = values_K * idf_D[at_K]
    norm = float(np.linalg.norm(values_K))
    return at_K, values_K / norm if norm else values_K


def build(rows: Sequence[RowText], tags: Sequence[str]) -> TagMemory:
    """A memory of labelled rows."""
    seen: Counter[int] = Counter()
    for row in rows:
        seen.update({zlib.crc32(gram.encode()) % DIMENSIONS for gram, _ in grams(row)})
    idf_D = np.ones(DIMENSIONS, dtype=np.float32) * np.float32(np.log(len(rows) + 1) + 1)
    for at, count in seen.items():
        idf_D[at] = np.log((len(rows) + 1) / (count + 1)) + 1
    vectors = [vector(row, idf_D) for row in rows]
    names = tuple(sorted(set(tags)))
    number = {name: index for index, name in enumerate(names)}
    return TagMemory(
        indices=np.concatenate([at for at, _ in vectors]),
        values=np.concatenate([values for _, values in vectors]).astype(np.float16).astype(np.float32),
        starts=np.cumsum([0, *(len(at) for at, _ in vectors)]),
        codes_N=np.array([code_of(row) for row in rows]),
        tags_N=np.array([number[tag] for tag in tags]),
        idf_D=idf_D.astype(np.float16).astype(np.float32),
        names=names,
    )


def save(memory: TagMemory, folder: Path, about: dict[str, object]) -> None:
    """``tags.safetensors`` and ``tags.json`` (elements, and what the memory was trained on)."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, NDArray[Any]] = {
        "indices": memory.indices.astype(np.uint16), "values": memory.values.astype(np.float16),
        "starts": memory.starts.astype(np.int32), "codes": memory.codes_N.astype(np.uint8),
        "tags": memory.tags_N.astype(np.uint16), "idf": memory.idf_D.astype(np.float16),
    }  # fmt: skip
    save_file(tensors, folder / "tags.safetensors")
    (folder / "tags.safetensors").chmod(0o644)
    (folder / "tags.json").write_text(json.dumps({**about, "elements": memory.names}, indent=1) + "\n")


@cache
def load(folder: Path) -> TagMemory:
    """The memory that ``save`` wrote."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / "tags.safetensors")
    names = json.loads((folder / "tags.json").read_text())["elements"]
    return TagMemory(
        indices=tensors["indices"].astype(np.int64), values=tensors["values"].astype(np.float32),
        starts=tensors["starts"].astype(np.int64), codes_N=tensors["codes"].astype(np.int64),
        tags_N=tensors["tags"].astype(np.int64), idf_D=tensors["idf"].astype(np.float32), names=tuple(names),
    )  # fmt: skip


def has_interests(statements: Sequence[Statement]) -> bool:
    """Whether a report's rows or columns name noncontrolling interests."""
    texts = (text for s in statements for text in (*(r.label for r in s.rows), *(c.label for c in s.columns)))
    return any(
        re.search(r"non-?controlling|minority interest|少数股东", text, re.IGNORECASE) for text in texts
    )


def row_texts(statement: Statement, interests: bool) -> dict[tuple[int, str, bool], RowText]:
    """What each row is told by, for each unit and sort of period that its values have."""
    texts: dict[tuple[int, str, bool], RowText] = {}
    for value in statement.values:
        row = statement.rows[value.row]
        instant = value.period is not None and value.period.start is None
        texts[value.row, value.unit, instant] = RowText(
            statement.kind, value.unit, row.label, " ".join(row.path[-2:]), instant, interests
        )
    return texts


def tagged(statements: Sequence[Statement], memory: TagMemory) -> tuple[Statement, ...]:
    """Statements with an element for each value, and for each row that of its first value.

    Chinese statements stay without: us-gaap does not apply to them.
    """
    interests = has_interests(statements)
    done = []
    for statement in statements:
        if re.search(r"[\u4e00-\u9fff]", statement.title):
            done.append(statement)
            continue
        texts = row_texts(statement, interests)
        found = dict(zip(texts, memory.predict(list(texts.values())), strict=True))
        values = []
        of_row: dict[int, tuple[str, float]] = {}
        for value in statement.values:
            instant = value.period is not None and value.period.start is None
            best = found[value.row, value.unit, instant]
            if best is not None:
                of_row.setdefault(value.row, best)
            values.append(value.model_copy(update={"tag": best[0] if best else None}))
        rows = [
            row.model_copy(
                update={"tag": of_row[row.index][0], "tag_probability": round(of_row[row.index][1], 3)}
            )
            if row.index in of_row
            else row
            for row in statement.rows
        ]
        done.append(statement.model_copy(update={"rows": tuple(rows), "values": tuple(values)}))
    return tuple(done)
