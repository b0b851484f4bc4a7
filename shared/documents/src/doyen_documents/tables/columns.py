"""Columns of a table without upright rules: segments of different rows that stand above each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from doyen_documents.tables.lines import Row, Segment

OPENS: Final = re.compile(r"(US|HK|C|A|NT|R)?[$€£¥₩](\s*\()?|\(|RMB|EUR|USD|GBP|CHF|Rs\.?")
CLOSES: Final = re.compile(r"\)|%|\)\s*%|‰|\*{1,3}|\([a-z0-9]\)")


@dataclass(slots=True)
class Column:
    """Left and right end of a column, and the rows of the table in which it has a segment of its own."""

    x0: float
    x1: float
    rows: set[int] = field(default_factory=set)

    def covers(self, segment: Segment) -> float:
        """How much of a segment's width, in points, lies over the column."""
        return min(self.x1, segment.x1) - max(self.x0, segment.x0)


def join_signs(row: Row) -> Row:
    """A row in which signs printed apart (``$ 1,234``, ``(56 )``, ``7 %``) stand with their figure."""
    joined: list[Segment] = []
    for segment in row.segments:
        last = joined[-1] if joined else None
        if last is not None:
            gap = segment.x0 - last.x1
            opening = OPENS.fullmatch(last.text) and segment.number and gap < 8 * row.size
            closing = CLOSES.fullmatch(segment.text) and last.number and gap < 2 * row.size
            if opening or closing:
                joined[-1] = Segment([*last.words, *segment.words])
                continue
        joined.append(segment)
    return Row(joined)


def find_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of rows, left to right.

    Narrow segments come first and make columns; one that lies over two of them is a cell that spans both, unless
    such segments outnumber the rows in which the two stand apart: then the two are one column.
    """
    numbered = [
        (index, segment)
        for index, row in enumerate(rows)
        if len(row.segments) > 1
        for segment in row.segments
    ]
    columns: list[Column] = []
    spanning: list[tuple[int, Segment]] = []
    for index, segment in sorted(numbered, key=lambda pair: pair[1].x1 - pair[1].x0):
        over = [column for column in columns if column.covers(segment) > 0.1 * segment.size]
        if not over:
            columns.append(Column(segment.x0, segment.x1, {index}))
        elif len(over) == 1:
            over[0].x0, over[0].x1 = min(over[0].x0, segment.x0), max(over[0].x1, segment.x1)
            over[0].rows.add(index)
        else:
            spanning.append((index, segment))
    columns.sort(key=lambda column: column.x0)
    return _merge(columns, spanning, rows)


def _merge(
    columns: list[Column], spanning: Sequence[tuple[int, Segment]], rows: Sequence[Row]
) -> list[Column]:
    """Join neighbours that are crossed more often than kept apart, or never stand in one row."""
    size = rows[0].size if rows else 0.0
    head = max(2, len(rows) // 5)
    merged = True
    while merged and len(columns) > 1:
        merged = False
        for left, right in pairwise(columns):
            apart = len(left.rows & right.rows)
            crossed = sum(
                0.4 if index < head else 1.0
                for index, segment in spanning
                if left.covers(segment) > 0.1 * size and right.covers(segment) > 0.1 * size
            )
            stray = min(len(left.rows), len(right.rows)) <= 2 and right.x0 - left.x1 < 2.5 * size
            never = apart == 0 and (right.x0 - left.x1 < 1.0 * size or stray)
            if crossed > apart or never:
                left.x0, left.x1 = min(left.x0, right.x0), max(left.x1, right.x1)
                left.rows |= right.rows
                columns.remove(right)
                merged = True
                break
    return columns
