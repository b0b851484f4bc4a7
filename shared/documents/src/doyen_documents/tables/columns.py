"""Columns of a table without upright rules: segments of different rows that stand above each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from doyen_documents.tables.lines import Row, Segment, is_marker, is_number
from doyen_documents.tables.model import Word

OPENS: Final = re.compile(r"(US|HK|C|A|NT|R)?[$€£¥₩](\s*\()?|\(|RMB|EUR|USD|GBP|CHF|Rs\.?")
CLOSES: Final = re.compile(r"\)|%|\)\s*%|‰|\*{1,3}|\([a-z0-9]\)")


YEAR: Final = re.compile(r"\(?(19|20)\d\d\)?([-/–](19|20)?\d\d)?[*a-e]?")


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
            opening = OPENS.fullmatch(last.text) and segment.number and gap < 20 * row.size
            closing = CLOSES.fullmatch(segment.text) and last.number and gap < 2 * row.size
            if opening or closing:
                joined[-1] = Segment([*last.words, *segment.words])
                continue
        joined.append(segment)
    return Row(joined)


def cut_rivers(rows: Sequence[Row]) -> list[Row]:
    """Rows with segments cut where narrow gaps of nearly all rows lie above each other beside figures.

    Tight columns are told from words of one cell only by what the other rows do.
    """
    gaps = [_gaps(row) if len(row.segments) > 1 else [] for row in rows]
    spots = sorted({(gap.x0 + gap.x1) / 2 for row in gaps for gap in row if gap.figures and gap.inner})
    cuts: list[float] = []
    head = min(3, len(rows) // 3)
    for x in spots:
        if cuts and x - cuts[-1] < 2:
            continue
        parted = figures = crossed = 0
        for index, (row, holes) in enumerate(zip(rows, gaps, strict=True)):
            hole = next((gap for gap in holes if gap.x0 <= x <= gap.x1), None)
            if hole is not None:
                parted += 1
                figures += hole.figures
            elif (
                len(row.segments) > 1 and row.x0 < x < row.x1 and index >= head and not _thousands_at(row, x)
            ):
                crossed += 1
        if parted >= 3 and figures >= (0.6 if parted > 3 else 1.0) * parted and crossed <= 0.1 * parted:
            cuts.append(x)
    if not cuts:
        return list(rows)
    return [
        Row([part for segment in row.segments for part in _cut_at(segment, cuts)])
        if len(row.segments) > 1
        else row
        for row in rows
    ]


class _Gap(NamedTuple):
    x0: float
    x1: float
    figures: bool  # a figure stands beside it
    inner: bool  # it lies within a segment


def _gaps(row: Row) -> list[_Gap]:
    """The gaps of a row in which a column could end."""
    first = row.segments[0].words[0]

    def figure(word: Word) -> bool:
        return is_number(word.text) and not is_marker(word.text)

    found = [
        _Gap(
            before.x1,
            after.x0,
            # A number that opens a label belongs to it.
            (figure(before) and (before is not first or after.x0 - before.x1 > 0.45 * row.size))
            or figure(after),
            True,
        )
        for segment in row.segments
        for before, after in pairwise(segment.words)
        if after.x0 - before.x1 > 0.15 * row.size
        and not _thousands(before, after)
        and not OPENS.fullmatch(before.text)
    ]
    found += [
        _Gap(before.x1, after.x0, before.number or after.number, False)
        for before, after in pairwise(row.segments)
    ]
    return found


def _thousands(before: Word, after: Word) -> bool:
    """Whether two words are one figure with spaces between its thousands."""
    return bool(
        re.fullmatch(r"\d{3}([.,]\d+)?[)%]?", after.text)
        and re.fullmatch(r"[(+\-–−]?\d{1,3}", before.text)
        and after.x0 - before.x1 < 0.4 * (after.bottom - after.top)
    )


def _thousands_at(row: Row, x: float) -> bool:
    return any(
        before.x1 <= x <= after.x0 and _thousands(before, after)
        for segment in row.segments
        for before, after in pairwise(segment.words)
    )


def _cut_at(segment: Segment, cuts: Sequence[float]) -> list[Segment]:
    parts = [[segment.words[0]]]
    for before, after in pairwise(segment.words):
        if any(before.x1 <= cut <= after.x0 for cut in cuts) and not _thousands(before, after):
            parts.append([])
        parts[-1].append(after)
    return [Segment(part) for part in parts]


def find_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of rows, left to right.

    Figures come first, then text, the narrow before the wide, and make columns; one that lies over two of them is a cell that spans both, unless
    such segments outnumber the rows in which the two stand apart: then the two are one column.
    """
    numbered = [
        (index, _figure(segment))
        for index, row in enumerate(rows)
        if len(row.segments) > 1
        for segment in row.segments
    ]
    columns: list[Column] = []
    spanning: list[tuple[int, Segment]] = []
    for index, segment in sorted(
        numbered,
        key=lambda pair: (not pair[1].number or bool(YEAR.fullmatch(pair[1].text)), pair[1].x1 - pair[1].x0),
    ):
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


def _figure(segment: Segment) -> Segment:
    """A segment without the sign at its left end, which stands far from its figure."""
    if segment.number and len(segment.words) > 1 and OPENS.fullmatch(segment.words[0].text):
        return Segment(segment.words[1:])
    return segment


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
