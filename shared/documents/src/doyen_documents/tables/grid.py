"""Cells of a grid while a table is being built, and what the finished table is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from doyen_documents.tables.lines import is_number, print_lines
from doyen_documents.tables.model import Cell, Table, Word
from doyen_schemas.document import Box

# A gap of this share of the print's height inside a cell means that two cells were taken for one.
WIDE: Final = 1.2


@dataclass(slots=True)
class Draft:
    """A cell of a table in the making."""

    row: int
    column: int
    row_span: int = 1
    column_span: int = 1
    words: list[Word] = field(default_factory=list)


def to_table(drafts: Iterable[Draft], page: int, method: Literal["lines", "words", "image"]) -> Table | None:
    """The table of the drafts that hold words, without empty rows and columns; None where nothing is left."""
    filled = [draft for draft in drafts if draft.words]
    if not filled:
        return None
    rows = _renumber((draft.row, draft.row_span) for draft in filled)
    columns = _renumber((draft.column, draft.column_span) for draft in filled)
    cells = []
    for draft in sorted(filled, key=lambda d: (d.row, d.column)):
        row, row_end = rows[draft.row], _end(rows, draft.row, draft.row_span)
        column, column_end = columns[draft.column], _end(columns, draft.column, draft.column_span)
        cells.append(
            Cell(
                row,
                column,
                text_of(draft.words),
                box_of(draft.words, page),
                row_end - row,
                column_end - column,
            )
        )
    return Table(
        box=box_of([word for draft in filled for word in draft.words], page),
        rows=len(set(rows.values())),
        columns=len(set(columns.values())),
        cells=tuple(cells),
        method=method,
        score=round(worth(filled, len(set(rows.values())) * len(set(columns.values()))), 4),
    )


def _renumber(spans: Iterable[tuple[int, int]]) -> dict[int, int]:
    """New numbers for the rows or columns in which a cell begins; the others are covered by spans alone."""
    starts = sorted({start for start, _ in spans})
    return {start: number for number, start in enumerate(starts)}


def _end(numbers: dict[int, int], start: int, span: int) -> int:
    last = max(old for old in numbers if start <= old < start + span)
    return numbers[last] + 1


def text_of(words: Sequence[Word]) -> str:
    """The text of a cell: its lines of print from the top, joined by spaces."""
    return " ".join(word.text for line in print_lines(words) for word in line)


def box_of(words: Sequence[Word], page: int) -> Box:
    """The smallest box around words."""
    return Box(
        page=page,
        x0=min(word.x0 for word in words),
        top=min(word.top for word in words),
        x1=max(word.x1 for word in words),
        bottom=max(word.bottom for word in words),
    )


def worth(drafts: Sequence[Draft], size: int) -> float:
    """How well a grid of ``size`` cells fits its words, 0 to 1.

    Words count against it where a cell holds two lines of figures (rows not told apart) or a wide gap (columns not
    told apart), and so does emptiness beyond half of the grid.
    """
    total = bad = 0
    for draft in drafts:
        lines = print_lines(draft.words)
        total += len(draft.words)
        figures = sum(all(is_number(word.text) for word in line) for line in lines)
        gap = any(
            after.x0 - before.x1 > WIDE * (after.bottom - after.top) and not _sign(before.text)
            for line in lines
            for before, after in pairwise(line)
        )
        if figures > 1 or gap:
            bad += len(draft.words)
    covered = sum(draft.row_span * draft.column_span for draft in drafts)
    empty = max(0.0, 0.5 - covered / max(size, 1))
    return max(0.0, 1 - bad / max(total, 1) - empty)


def _sign(text: str) -> bool:
    return text in ("$", "€", "£", "¥", "(", "US$")
