"""A grid of texts into rows and columns with values: header rows, headings, years."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from doyen_finance.questions.model import Cell, Column, Place, Row, Table
from doyen_finance.questions.numbers import is_year, read_number, years_of
from doyen_schemas import DoyenError

MAX_CELLS: Final = 20_000
MAX_CELL_CHARACTERS: Final = 5_000
_DATE: Final = re.compile(
    r"^(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s*\d{0,2},?(?:\s*\d{4})?$|^\d{1,2}\s+[A-Za-z]{3,9}\s*\d{0,4}$",
    re.IGNORECASE,
)


def read_table(grid: Sequence[Sequence[str]], place: Place | None = None) -> Table:
    """Read ``grid`` (rows of texts, first column the labels). Raises FIN-081 (no grid, or too large)."""
    if not grid or not any(len(row) > 1 for row in grid):
        raise DoyenError(
            "FIN-081", "the table has no two columns.", "Give rows of cells, labels in the first column."
        )
    width = max(len(row) for row in grid)
    if width * len(grid) > MAX_CELLS:
        raise DoyenError(
            "FIN-081",
            f"the table has {width * len(grid)} cells; at most {MAX_CELLS} are read.",
            "Split the table.",
        )
    cells = tuple(
        tuple(" ".join(whole(str(text)[:MAX_CELL_CHARACTERS]).split()) for text in row)
        + ("",) * (width - len(row))
        for row in grid
    )
    first = _first_value_row(cells)
    headers: list[list[int]] = [list(range(first))]
    header_of_row: dict[int, list[int]] = {}
    rows: list[Row] = []
    lone = next((i for i in range(first - 1, -1, -1) if any(cells[i][1:])), first)
    headings = [cells[i][0] for i in range(lone + 1, first) if cells[i][0]]
    fresh = True
    for index in range(first, len(cells)):
        label, values = cells[index][0], _values(cells[index], index)
        if not values:
            if any(cells[index][1:]) and all(_header_like(text) for text in cells[index][1:]):
                if fresh or not headers[-1]:
                    headers[-1].append(index)
                else:
                    headers.append([index])
                fresh = True
                if label:
                    headings = [label]
            elif label and not any(cells[index][1:]):
                headings = [label] if not fresh or not headings else [*headings[-1:], label]
                fresh = True
            continue
        fresh = False
        header_of_row[index] = headers[-1]
        path = tuple(headings)
        years = tuple(years_of(label)) or tuple(year for heading in path for year in years_of(heading))
        rows.append(Row(index, label, path, years, values))
        if label.lower().startswith("total") and headings:
            headings = []
    columns = []
    for column in range(1, width):
        if not any(column in row.cells for row in rows):
            continue
        levels = tuple(
            dict.fromkeys(
                text for h in headers[0] if (text := _spanned(cells[h], column)) and not _is_caption(text)
            )
        )
        header = " ".join(levels)
        own = tuple(years_of(" ".join(cells[h][column] for h in headers[0])))
        columns.append(Column(column, header, levels, own or tuple(years_of(header))))
    return Table(cells, tuple(rows), tuple(columns), place or Place())


def whole(text: str) -> str:
    """The text with "?" for each half of a character, which JSON can escape and nothing can print."""
    return text.encode("utf-8", errors="replace").decode()


def _first_value_row(cells: tuple[tuple[str, ...], ...]) -> int:
    """The number of leading header rows: the rows before the first that has a value beside years and dates."""
    for index, row in enumerate(cells):
        if _values(row, index):
            return index
    return 0


def _values(row: tuple[str, ...], index: int) -> dict[int, Cell]:
    """The value cells of a row by column; none where all its numbers are years, which makes it a header."""
    found: dict[int, Cell] = {}
    for column, text in enumerate(row[1:], start=1):
        number = read_number(text)
        if number is not None:
            found[column] = Cell(index, column, text, number)
    years = [is_year(cell.text) for cell in found.values()]
    empty = all(year or cell.number.value == 0 for year, cell in zip(years, found.values(), strict=True))
    return {} if empty and (any(years) or not row[0]) else found


def _header_like(text: str) -> bool:
    return not text or is_year(text) or read_number(text) is None or bool(_DATE.match(text))


def _spanned(row: tuple[str, ...], column: int) -> str:
    """The text over a column in a header row, where one cell may stand over several."""
    if row[column]:
        return row[column]
    filled = [c for c in range(1, len(row)) if row[c]]
    if not filled:
        return ""
    if len(filled) == 1:
        return row[filled[0]]
    if len(filled) >= (len(row) - 1) * 0.75:
        return ""
    left = [c for c in filled if c < column]
    return row[left[-1]] if left else row[filled[0]]


def _is_caption(text: str) -> bool:
    """Whether a header text is no header but a unit over all columns."""
    return bool(
        re.fullmatch(
            r"\(?(?:in|\$|€|£)?\s*(?:in\s)?(?:thousands|millions|billions).*\)?", text, re.IGNORECASE
        )
    )
