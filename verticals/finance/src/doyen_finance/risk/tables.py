"""Reads a CSV of hostile origin into checked columns, chunk by chunk; what is wrong is named by row and rule."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from doyen_schemas import DoyenError

MAX_ROWS: Final = 20_000_000
MAX_AMOUNT: Final = 1e9
"""Above it, sums in minor units would leave 64 bits; no card payment is as large."""
_CHUNK: Final = 250_000
_HEADER_BYTES: Final = 65_536


@dataclass(frozen=True)
class Column:
    """What a column must hold: ``integer`` and ``number`` (within 1e9), ``amount`` (0 to 1e9), ``time``, ``name`` or ``text``."""

    name: str
    kind: str
    required: bool = True
    allowed: tuple[int, ...] = ()
    unique: bool = False


def read_table(
    path: Path, columns: Sequence[Column], *, max_rows: int = MAX_ROWS
) -> tuple[pd.DataFrame, list[str]]:
    """The known columns of a CSV (plain or gzip) and the names of those that it ignores.

    Raises FIN-070 (not readable as such a table, too large), FIN-071 (a column is missing or stands twice), FIN-072
    (a value breaks its column's rule), FIN-073 (an identifier stands twice).
    """
    header = _header(path)
    known = [column for column in columns if column.name in header]
    missing = [column.name for column in columns if column.required and column.name not in header]
    if missing or len(set(header)) < len(header):
        raise DoyenError(
            "FIN-071",
            f"{path.name} lacks the columns {missing}." if missing else f"{path.name} names a column twice.",
            "Needed: " + ", ".join(column.name for column in columns if column.required) + ".",
        )
    parts, rows = [], 0
    try:
        chunks = pd.read_csv(
            path, usecols=[c.name for c in known], dtype=str, chunksize=_CHUNK, encoding="utf-8-sig",
            keep_default_na=False, compression="gzip" if _is_gzip(path) else None,
        )  # fmt: skip
        for chunk in chunks:
            chunk = chunk.reset_index(drop=True)
            parts.append(pd.DataFrame({c.name: _checked(chunk[c.name], c, rows) for c in known}))
            rows += len(chunk)
            if rows > max_rows:
                raise DoyenError("FIN-070", f"{path.name} has over {max_rows:,} rows.", "Split it by time.")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DoyenError(
            "FIN-070",
            f"{path.name} is no table: {type(error).__name__}.",
            "Give a CSV, plain or gzip, in UTF-8.",
        ) from None
    if not rows:
        raise DoyenError("FIN-070", f"{path.name} has no rows.", "Give a CSV with a header and rows.")
    table = pd.concat(parts, ignore_index=True)
    for column in known:
        if column.unique and (twice := int(table[column.name].duplicated().sum())):
            raise DoyenError(
                "FIN-073", f"{path.name} repeats {twice} values of {column.name}.", "Every row needs its own."
            )
    return table, [name for name in header if name not in {c.name for c in known}]


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _header(path: Path) -> list[str]:
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            line = file.readline(_HEADER_BYTES)
        text = line.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DoyenError(
            "FIN-070", f"{path.name} cannot be read: {type(error).__name__}.", "Give a CSV, plain or gzip."
        ) from None
    if len(line) >= _HEADER_BYTES or not text.strip():
        raise DoyenError("FIN-070", f"{path.name} has no header line.", "The first line names the columns.")
    return [name.strip().strip('"') for name in text.strip().split(",")]


def _checked(values: pd.Series, column: Column, before: int) -> pd.Series:
    """The column in its type; the first row (counted from 1, header left out) that breaks the rule is named."""
    if column.kind == "text":
        return values.str.strip()
    if column.kind == "name":
        _refuse(values.str.strip().eq("").to_numpy() | values.isna().to_numpy(), column, "is empty", before)
        return values
    if column.kind == "time":
        times = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True).dt.tz_localize(None)
        _refuse(times.isna().to_numpy(), column, "is no ISO 8601 time", before)
        return times.astype("datetime64[s]")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    _refuse(~np.isfinite(numbers), column, "is no finite number", before)
    if column.kind == "amount":
        _refuse((numbers < 0) | (numbers > MAX_AMOUNT), column, "is not between 0 and 1,000,000,000", before)
    _refuse(np.abs(numbers) > MAX_AMOUNT, column, "is beyond 1,000,000,000", before)
    if column.kind == "integer":
        _refuse(numbers != np.round(numbers), column, "is no whole number", before)
        if column.allowed:
            _refuse(~np.isin(numbers, column.allowed), column, f"is none of {list(column.allowed)}", before)
        return pd.Series(numbers.astype(np.int64))
    return pd.Series(numbers)


def _refuse(wrong: np.ndarray, column: Column, rule: str, before: int) -> None:
    if wrong.any():
        raise DoyenError(
            "FIN-072",
            f"row {before + int(wrong.argmax()) + 1}: {column.name} {rule}.",
            "Correct or leave out such rows first; nothing is filled in.",
        )
