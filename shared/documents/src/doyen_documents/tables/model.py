"""What a table is: a grid of cells with spans, each with the box that it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from doyen_schemas.document import Box


class Word(NamedTuple):
    """A printed word and where it stands on its page, in points from the page's top left."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the grid: first row and column (from 0), how many of each it covers, its text and its box."""

    row: int
    column: int
    text: str
    box: Box
    row_span: int = 1
    column_span: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one page.

    Attributes:
        box: page and rectangle.
        rows, columns: size of the grid.
        cells: row by row, empty cells left out.
        method: ``lines`` (drawn rules), ``words`` (alignment of words) or ``image`` (structure model over a scan).
        score: how well the grid fits its words, 0 to 1; what the method was chosen by.
    """

    box: Box
    rows: int
    columns: int
    cells: tuple[Cell, ...]
    method: Literal["lines", "words", "image"]
    score: float
