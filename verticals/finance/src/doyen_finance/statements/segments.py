"""Pages to statements' parts: where a statement begins and ends, its heading lines and its data rows on each page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from doyen_finance.statements.layout import (
    Column,
    Line,
    Row,
    Rule,
    find_columns,
    find_rows,
    is_number,
    split_line,
    tokens,
)
from doyen_finance.statements.periods import phrases
from doyen_finance.statements.titles import Title, is_end, title_of
from doyen_finance.statements.units import units_of

_YEAR: Final = re.compile(r"(?:19|20)\d\d")
# Lines of running heads and feet: no number column reaches them.
_RUNNING: Final = re.compile(
    r"table of contents|\d{1,4}|(?:page )?\d+ (?:of|/) \d+|[A-Za-z.,&' ]*\|? ?\d{4} form 10-[kq]( ?\| ?\d+)?|.*\bform 10-[kq]\b.{0,12}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PageLines:
    """The lines and level rules of a page in its reading frame, the frame's turn in degrees, the size as shown."""

    number: int
    lines: list[Line]
    turn: int
    width: float
    height: float
    rules: tuple[Rule, ...] = ()


@dataclass(slots=True)
class Part:
    """A statement on one page: heading lines, what says the units, columns and rows."""

    page: PageLines
    headings: list[Line]
    units: str
    columns: list[Column]
    rows: list[Row]


@dataclass(slots=True)
class Segment:
    """A statement as it lies on its pages. ``titles`` are the lines about its title, before and below."""

    title: Title
    text: str
    titles: list[str]
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    segment: Segment
    lines: list[tuple[PageLines, list[Line]]]


def find_segments(pages: Sequence[PageLines]) -> list[Segment]:
    """The statements on pages in order; one goes on over the next page until its end or the next title."""
    found: list[_Open] = []
    current: _Open | None = None
    last_page = 0
    for page in pages:
        if page.number != last_page + 1:
            current = None
        last_page = page.number
        lines = _without_running(page)
        index = 0
        if current is not None:
            current.lines.append((page, []))
        while index < len(lines):
            title, used = _title_at(lines, index)
            if title is not None:
                above = [line.text for line in lines[max(0, index - 3) : index]]
                text = " ".join(line.text for line in lines[index : index + used])
                current = _Open(Segment(title, text, above), [(page, [])])
                found.append(current)
                index += used
                continue
            line = lines[index]
            index += 1
            if current is None:
                continue
            if is_end(line.text):
                current = None
                continue
            current.lines[-1][1].append(line)
        if current is not None and len(current.lines) > 1 and _is_prose(current.lines[-1][1]):
            current.lines.pop()
            current = None
    return [segment for opened in found if (segment := _close(opened)).parts]


def _without_running(page: PageLines) -> list[Line]:
    edge = 0.08 * page.height
    return [
        line
        for line in page.lines
        if not (
            _RUNNING.fullmatch(line.text.strip())
            and (line.top < 2 * edge or line.bottom > page.height - 2 * edge)
        )
    ]


def _title_at(lines: Sequence[Line], index: int) -> tuple[Title | None, int]:
    """The title that a line, or two of them, opens, and how many lines it takes."""
    text = lines[index].text
    if any(is_number(piece) and not _YEAR.fullmatch(piece.text) for piece in tokens(lines[index])[-1:]):
        return None, 0
    if title := title_of(text):
        return title, 1
    if index + 1 < len(lines) and re.search(r"statements?(?: of)?(?: \w+){0,5}$", text, re.IGNORECASE):
        near = lines[index + 1].top - lines[index].bottom < 1.5 * (lines[index].bottom - lines[index].top)
        if near and (title := title_of(f"{text} {lines[index + 1].text}")):
            return title, 2
    return None, 0


def _is_prose(lines: Sequence[Line]) -> bool:
    """Whether a page that a statement might go on over holds running text instead."""
    numbers = sum(
        1
        for line in lines
        if sum(is_number(piece) for piece in tokens(line)[1:]) >= 1 and len(line.words) < 20
    )
    long = sum(len(line.words) > 12 and not is_number(tokens(line)[-1]) for line in lines)
    return numbers < 3 or long > numbers


def _close(opened: _Open) -> Segment:
    segment = opened.segment
    for page, lines in opened.lines:
        part = make_part(page, lines)
        if part is None:
            segment.titles += [line.text for line in lines[:6]]
            continue
        segment.parts.append(part)
    return segment


def make_part(page: PageLines, lines: list[Line]) -> Part | None:
    """Columns, headings and rows of a statement's lines on one page, or None where no number column stands there."""
    columns = find_columns(lines)
    start = _data_start(lines, columns)
    if start is None:
        return None
    data = lines[start:]
    inner = find_columns(data)
    columns = inner or columns
    found = find_rows(data, columns, page.rules)
    rows = [row for row in found if not _is_furniture(row)]
    while rows and not rows[-1].cells:  # what follows the last numbers are footnotes
        rows.pop()
    said = [line.text for line in lines[:start]] + [row.label for row in found[:3] if _is_furniture(row)]
    return Part(page, lines[:start], " ".join(said), columns, rows) if rows else None


def _data_start(lines: Sequence[Line], columns: Sequence[Column]) -> int | None:
    """Index of the first line below the headings: of the first number that is no year, or of its label's first line."""
    if not columns:
        return None
    for index, line in enumerate(lines):
        _, cells = split_line(line, columns)
        if not cells or _heading_like(line, columns):
            continue
        start = index
        while (
            start > 0 and not _over_columns(lines[start - 1], columns) and not _says_units(lines[start - 1])
        ):
            start -= 1
        return start
    return None


def _heading_like(line: Line, columns: Sequence[Column]) -> bool:
    """Whether a line with numbers is a heading: years or dates alone, or beside them the units."""
    words, cells = split_line(line, columns)
    if all(_YEAR.fullmatch(piece.text) or _day(piece.text) for piece in cells.values()):
        label = " ".join(word.text for word in words)
        if not label or units_of(label) or any(True for _ in phrases(line.text)):
            return True
    return False


def _day(text: str) -> bool:
    return text.isdigit() and len(text) <= 2


def _over_columns(line: Line, columns: Sequence[Column]) -> bool:
    return any(word.x1 > columns[0].left for word in line.words)


def _says_units(line: Line) -> bool:
    return units_of(line.text) is not None


def _is_furniture(row: Row) -> bool:
    """Units between headings and rows, and page numbers."""
    if not row.cells:
        return bool(re.fullmatch(r"\(.*\)", row.label)) and units_of(row.label) is not None
    values = [piece.text for piece in row.cells.values()]
    return not row.label and len(values) == 1 and re.fullmatch(r"\d{1,3}", values[0]) is not None
