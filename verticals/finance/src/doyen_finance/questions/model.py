"""What a question is asked of, and what comes back: a table with paragraphs, an answer with its cells, or a refusal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from doyen_finance.questions.numbers import Number


@dataclass(frozen=True, slots=True)
class Span:
    """A range of characters of a paragraph."""

    paragraph: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with its place: a value cell of the grid, or with ``span`` a number in a paragraph (row, column -1)."""

    row: int
    column: int
    text: str
    number: Number
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row with values: its label, the headings it stands under, the years these name, and its cells by column."""

    index: int
    label: str
    path: tuple[str, ...]
    years: tuple[int, ...]
    cells: dict[int, Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """A column with values: its header as joined text, each level of it, and the years it names."""

    index: int
    header: str
    levels: tuple[str, ...]
    years: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where each cell of a table stands in a report, where the parser knows it: page, then x0, top, x1, bottom."""

    boxes: dict[tuple[int, int], tuple[int, tuple[float, float, float, float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was read: the grid as printed, its rows and columns with values."""

    grid: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Context:
    """One table and the paragraphs around it: all that an answer may rest on."""

    table: Table
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """One way to answer: an operation over cells in order, labels (grid places), or spans of text.

    ``parts`` are the texts that answer; ``value`` is what the calculator gave, None where they stand as printed.
    ``basis`` are the cells that a comparison or filter looked at.
    """

    operation: str
    parts: tuple[str, ...]
    cells: tuple[Cell, ...] = ()
    labels: tuple[tuple[int, int], ...] = ()
    spans: tuple[Span, ...] = ()
    basis: tuple[Cell, ...] = ()
    value: Decimal | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """A source of an answer: a cell (row and column from 0, with page and box where known) or a span of a paragraph."""

    kind: str
    text: str
    row: int | None = None
    column: int | None = None
    label: str = ""
    header: str = ""
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    paragraph: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``answer`` is None when it was refused, and ``reason`` says why; ``steps`` are the calculation, line by line."""

    answer: tuple[str, ...] | None
    scale: str
    operation: str
    confidence: float
    steps: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {
            "answer": list(self.answer) if self.answer is not None else None,
            "scale": self.scale,
            "operation": self.operation,
            "confidence": round(self.confidence, 4),
            "steps": list(self.steps),
            "citations": [
                {name: value for name, value in asdict(c).items() if value not in (None, "")}
                for c in self.citations
            ],
            "reason": self.reason,
        }
