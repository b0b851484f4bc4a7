"""Running headers, footers and page numbers: found because they come again, not by where a template puts them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Literal, NamedTuple

from doyen_documents.layout import Line
from doyen_documents.sections import begins_section, roman_value

EDGE_LINES: Final = 5
SAME_HEIGHT: Final = 8.0
# A text of this many letters that comes again and again is furniture wherever on the page's edge it stands.
LONG_LETTERS: Final = 40
# Page numbers inside a page (of the print that the PDF was made from) are at least this many lines apart.
LINES_BETWEEN_NUMBERS: Final = 8

Kind = Literal["header", "footer"]
_NUMBER_LINE = re.compile(
    r"[-–—\s]*(?:page\s+)?(?P<value>\d{1,4}|[ivxl]{1,7})(?:\s*(?:of|/)\s*\d{1,4})?[-–—\s]*", re.IGNORECASE
)
_DIGITS = re.compile(r"\d+")


@dataclass
class Sheet:
    """A page's lines in reading order, and which of them are running headers or footers."""

    number: int
    lines: list[Line]
    running: dict[int, Kind] = field(default_factory=dict)


class _Hit(NamedTuple):
    """A line at a page's edge: page index, line index, how deep from the edge."""

    page: int
    line: int
    depth: int


def mark_running(sheets: Sequence[Sheet]) -> None:
    """Fill ``running`` of every sheet."""
    edges: tuple[Kind, Kind] = ("header", "footer")
    for kind in edges:
        found = {(hit.page, hit.line) for group in _groups(sheets, kind) for hit in _repeated(sheets, group)}
        found |= {place for place in _page_numbers(sheets) if _depth(sheets, place, kind) < EDGE_LINES}
        _mark_from_edge(sheets, kind, found)
    _mark_inside(sheets)
    for sheet in sheets:
        # What comes again but is all that a page says is its text; a lone page number is not.
        if len(sheet.running) == len(sheet.lines) and any(not _is_number(line) for line in sheet.lines):
            sheet.running.clear()


def _is_number(line: Line) -> bool:
    return len(line.words) <= 5 and _NUMBER_LINE.fullmatch(line.text) is not None


def _ordered(sheet: Sheet, kind: Kind) -> list[int]:
    indexes = range(len(sheet.lines))
    return list(indexes if kind == "header" else reversed(indexes))


def _depth(sheets: Sequence[Sheet], place: tuple[int, int], kind: Kind) -> int:
    return place[1] if kind == "header" else len(sheets[place[0]].lines) - 1 - place[1]


def _groups(sheets: Sequence[Sheet], kind: Kind) -> Iterator[list[_Hit]]:
    """Lines at one edge whose text agrees, digits aside."""
    groups: dict[str, list[_Hit]] = defaultdict(list)
    for page, sheet in enumerate(sheets):
        for depth, index in enumerate(_ordered(sheet, kind)[:EDGE_LINES]):
            text = " ".join(sheet.lines[index].text.lower().split())
            # "Exhibit A-1", "Exhibit A-2" name what follows; only their very repetition is furniture.
            key = text if begins_section(sheet.lines[index].text) else _DIGITS.sub("#", text)
            groups[key].append(_Hit(page, index, depth))
    yield from groups.values()


def _repeated(sheets: Sequence[Sheet], hits: list[_Hit]) -> list[_Hit]:
    """Those hits of a group that come again on enough pages, at one height or long enough to need none."""
    if not _texts_agree(sheets, hits):
        return []
    letters = sum(c.isalpha() for c in _line(sheets, hits[0]).text)
    long = letters >= LONG_LETTERS and _enough({hit.page for hit in hits}, len(sheets))
    size = median(_line(sheets, hit).size for hit in hits)
    heights = [round(_line(sheets, hit).top / SAME_HEIGHT) for hit in hits]
    at_height: dict[int, set[int]] = defaultdict(set)
    for hit, height in zip(hits, heights, strict=True):
        at_height[height].add(hit.page)
    level = {
        height: _enough(
            pages | at_height.get(height - 1, set()) | at_height.get(height + 1, set()), len(sheets)
        )
        for height, pages in at_height.items()
    }
    return [
        hit
        for hit, height in zip(hits, heights, strict=True)
        # The title on the first page may be what the headers repeat: it is set larger.
        if (long or level[height]) and not (hit.page == 0 and _line(sheets, hit).size > 1.15 * size)
    ]


def _texts_agree(sheets: Sequence[Sheet], hits: list[_Hit]) -> bool:
    """The same text throughout, or one whose number grows with the page."""
    numbers = [[int(n) for n in _DIGITS.findall(_line(sheets, hit).text)[:8]] for hit in hits]
    if all(row == numbers[0] for row in numbers):
        return True
    for column in range(len(numbers[0])):
        offsets = [row[column] - hit.page for row, hit in zip(numbers, hits, strict=True)]
        if offsets.count(max(set(offsets), key=offsets.count)) >= 0.7 * len(offsets):
            return True
    return False


def _enough(pages: set[int], total: int) -> bool:
    """Three pages or more, most of those from the first to the last of them; or both pages of two."""
    if total == 2:
        return len(pages) == 2
    return len(pages) >= 3 and 2 * len(pages) > max(pages) - min(pages) + 1


def _mark_from_edge(sheets: Sequence[Sheet], kind: Kind, found: set[tuple[int, int]]) -> None:
    """Mark from the edge inwards as far as lines were found, so that nothing in the middle of text goes."""
    for page, sheet in enumerate(sheets):
        for index in _ordered(sheet, kind):
            if (page, index) not in found or index in sheet.running:
                break
            sheet.running[index] = kind


def _page_numbers(sheets: Sequence[Sheet]) -> list[tuple[int, int]]:
    """Lines that hold a number alone and count up by one through the document: the longest such chain of each form.

    The chain may run inside pages: contracts printed from a filing carry the page ends of the first print.
    """
    places: dict[bool, list[tuple[int, int, int, int]]] = {True: [], False: []}
    position = 0
    for page, sheet in enumerate(sheets):
        for index, line in enumerate(sheet.lines):
            match = _NUMBER_LINE.fullmatch(line.text) if _is_number(line) else None
            if match is not None:
                text = match["value"]
                value = int(text) if text.isdigit() else roman_value(text)
                if value is not None:
                    places[text.isdigit()].append((value, position, page, index))
            position += 1
    return [place for found in places.values() for place in _chain(found)]


def _chain(found: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    best: list[int] = []
    length = [1] * len(found)
    before = [-1] * len(found)
    latest: dict[int, list[int]] = defaultdict(list)
    for here, (value, position, page, _) in enumerate(found):
        for other in latest[value - 1][-8:]:
            apart = position - found[other][1] >= LINES_BETWEEN_NUMBERS or found[other][2] != page
            if apart and length[other] + 1 > length[here]:
                length[here], before[here] = length[other] + 1, other
        latest[value].append(here)
    if found:
        end = max(range(len(found)), key=length.__getitem__)
        while end >= 0:
            best.append(end)
            end = before[end]
    return [(found[i][2], found[i][3]) for i in best] if len(best) >= 3 else []


def _mark_inside(sheets: Sequence[Sheet]) -> None:
    """Page numbers inside pages, and the lines beside them that stand beside such numbers again and again."""
    inside = [place for place in _page_numbers(sheets) if place[1] not in sheets[place[0]].running]
    beside: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for page, index in inside:
        sheet = sheets[page]
        sheet.running[index] = "footer"
        for near in (index - 1, index + 1, index + 2, index + 3):
            if 0 <= near < len(sheet.lines) and near not in sheet.running:
                beside[sheet.lines[near].text].append((page, near))
    for places in beside.values():
        if len(places) >= 3:
            for page, near in places:
                sheets[page].running[near] = "footer"


def _line(sheets: Sequence[Sheet], hit: _Hit) -> Line:
    return sheets[hit.page].lines[hit.line]
