"""Pages to statements' parts: where a statement begins and ends, its heading lines and its data rows on each page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
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
# One or two rows end a statement on its last page where that has few lines before its end, or so many numbers in a row.
SHORT_REST: Final = 12
WIDE_ROW: Final = 4
# Columns of two pages are the same where their right edges are so near.
SAME_EDGE: Final = 6.0
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
    """A statement, or one table of it, on one page: heading lines, what says the units, columns and rows."""

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
    repeated = _repeated(pages)
    for page in pages:
        if page.number != last_page + 1:
            current = None
        last_page = page.number
        lines = _without_running(page, repeated)
        index = 0
        if current is not None:
            current.lines.append((page, []))
        while index < len(lines):
            title, used = _title_at(lines, index)
            if title is not None:
                above = [line.text for line in lines[max(0, index - 3) : index]]
                text = " ".join(line.text for line in lines[index : index + used])
                index += used
                if current is None and title.continued and _same(found, title, page):
                    current = found[-1]  # its end line stood at the page's foot, as on every page
                    current.lines.append((page, []))
                    continue
                if current is not None and title.continued and current.segment.title[:2] == title[:2]:
                    continue
                current = _Open(Segment(title, text, above), [(page, [])])
                found.append(current)
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


def _same(found: Sequence[_Open], title: Title, page: PageLines) -> bool:
    """Whether a title continues the statement found last, on the page before or on this one."""
    return (
        bool(found)
        and found[-1].segment.title[:2] == title[:2]
        and page.number - found[-1].lines[-1][0].number <= 1
    )


def _repeated(pages: Sequence[PageLines]) -> set[str]:
    """First and last lines, digits aside, that several pages share: running heads and feet."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update(
            {_plain(line) for line in [*page.lines[:2], *page.lines[-2:]] if title_of(line.text) is None}
        )
    return {text for text, count in seen.items() if count >= max(3, len(pages) // 3)}


def _plain(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text)


def _without_running(page: PageLines, repeated: set[str]) -> list[Line]:
    edge = 0.16 * page.height
    return [
        line
        for line in page.lines
        if (edge < line.top and line.bottom < page.height - edge)
        or not (_RUNNING.fullmatch(line.text.strip()) or _plain(line) in repeated)
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
    amounts = [sum(is_number(piece) for piece in tokens(line)[1:]) for line in lines if len(line.words) < 20]
    numbers = sum(count > 0 for count in amounts)
    long = sum(len(line.words) > 12 and not is_number(tokens(line)[-1]) for line in lines)
    rest = numbers >= 3 or len(lines) <= SHORT_REST or max(amounts, default=0) >= WIDE_ROW
    return numbers == 0 or long > numbers or not rest


def _close(opened: _Open) -> Segment:
    segment = opened.segment
    for page, lines in opened.lines:
        columns = segment.parts[-1].columns if segment.parts else []
        parts = make_parts(page, lines, columns)
        segment.parts += parts
        if not parts:
            segment.titles += [line.text for line in lines[:6]]
    return segment


def make_parts(page: PageLines, lines: list[Line], before: Sequence[Column] = ()) -> list[Part]:
    """A statement's parts on one page: one for each set of headings; none where no number column stands there.

    ``before`` are the columns of the page before: they hold here too where all columns found are among them.
    """
    columns = _go_on(find_columns(lines), before)
    start = _data_start(lines, columns)
    if start is None:
        return []
    data = lines[start:]
    columns = _go_on(find_columns(data), before) or columns
    cuts = [0, *_headings_within(data, columns), len(data)]
    parts: list[Part] = []
    for first, last in pairwise(cuts):
        headings = lines[:start] if first == 0 else []
        body = data[first:last]
        if first:
            inner = _data_start(body, columns) or 0
            headings, body = body[:inner], body[inner:]
        found = find_rows(body, columns, page.rules)
        rows = [row for row in found if not _is_furniture(row)]
        while rows and not rows[-1].cells:  # what follows the last numbers are footnotes
            rows.pop()
        said = [line.text for line in headings] + [row.label for row in found[:3] if _is_furniture(row)]
        if rows:
            parts.append(Part(page, headings, " ".join(said), columns, rows))
    return parts


def _go_on(columns: list[Column], before: Sequence[Column]) -> list[Column]:
    """The columns of the page before, where every column found here is one of them."""
    if not columns:
        return list(before)
    near = [min((abs(c.edge - b.edge), i) for i, b in enumerate(before)) for c in columns] if before else []
    if near and all(distance < SAME_EDGE for distance, _ in near) and len({i for _, i in near}) == len(near):
        return [
            Column(
                min([b.left, *(c.left for c, (_, i) in zip(columns, near, strict=True) if i == k)]), b.edge
            )
            for k, b in enumerate(before)
        ]
    return columns


def _headings_within(lines: Sequence[Line], columns: Sequence[Column]) -> list[int]:
    """Where headings over the columns name another time after rows have come: a second table under one title."""
    cuts = []
    rows = 0
    for index, line in enumerate(lines):
        words, cells = split_line(line, columns)
        if cells and not _heading_like(line, columns):
            rows += 1
            continue
        over = [word for word in words if columns and word.x1 > columns[0].left] or list(cells.values())
        text = " ".join(word.text for word in over)
        dated = any(p.year or p.months for p in phrases(text)) and len(line.words) <= 12
        if rows and over and dated:
            cuts.append(index)
            rows = 0
    return cuts


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
