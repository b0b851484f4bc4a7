"""Words to rows of segments: runs of words that no gap of a table's column can separate; prose told apart."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from doyen_documents.tables.model import Word
from doyen_documents.tables.rules import Rule

# A gap of this share of the print's height ends a segment; between two numbers the smaller one does.
GAP: Final = 0.75
NUMBER_GAP: Final = 0.42
# The least lines, words a line and share of the block's width that make a block of running text.
PROSE_LINES: Final = 3
PROSE_WORDS: Final = 4.5
PROSE_FILL: Final = 0.8

NUMBER: Final = re.compile(
    r"[($€£¥~<>≤≥+\-–−—*]*(US\$|EUR|USD|RMB)?[($€£¥+\-–−]*\d[\d.,'’/:\u00a0]*[%)a-z*†‡§¹²³⁴\]]{0,3}"
)
SIGNS: Final = frozenset(("$", "€", "£", "¥", "US$"))
BLANK: Final = re.compile(r"[-–—−.…:*x]{1,3}|n/?a\.?|N/?A|nil|c|[☐☒☑✓✔✗✘●○■□]|\(-\)|\(–\)|\$", re.I)
MARKER: Final = re.compile(
    r"[•●■▪◦○–—\-*·►➢]|item \w{1,3}\.|\(?([a-z]|[ivx]{1,4}|\d{1,2})[.)]|\d{1,2}(\.\d{1,2})+\.", re.I
)
_PARTS: Final = re.compile(r"\S+?[\d)%](?=[$€£¥]$)|\S+")
LEADER: Final = re.compile(r"[.…·_]{3,}|…+")


def is_number(text: str) -> bool:
    """Whether a printed word is a figure (``(1,234.5)%``, ``12*``) or the mark of an absent one (``–``)."""
    return text[-1] != "," and bool(NUMBER.fullmatch(text) or BLANK.fullmatch(text))


def is_marker(text: str) -> bool:
    """Whether a printed word marks an item of a list: a bullet, ``1.``, ``(a)``."""
    return bool(MARKER.fullmatch(text))


class Segment:
    """Words of one row that belong to one cell, or to one cell of a head that spans columns."""

    __slots__ = ("bottom", "number", "size", "text", "top", "words", "x0", "x1")

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = tuple(words)
        self.x0 = words[0].x0
        self.x1 = max(word.x1 for word in words)
        self.top = min(word.top for word in words)
        self.bottom = max(word.bottom for word in words)
        self.size = median(word.bottom - word.top for word in words)
        self.text = " ".join(word.text for word in words)
        self.number = all(is_number(word.text) for word in words)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def center(self) -> float:
        return (self.x0 + self.x1) / 2


class Row:
    """Segments on one line of print, left to right."""

    __slots__ = ("bottom", "segments", "size", "top")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = sorted(segments, key=lambda segment: segment.x0)
        self.top = min(segment.top for segment in segments)
        self.bottom = max(segment.bottom for segment in segments)
        self.size = median(segment.size for segment in segments)

    @property
    def x0(self) -> float:
        return self.segments[0].x0

    @property
    def x1(self) -> float:
        return max(segment.x1 for segment in self.segments)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def clean_words(words: Sequence[Word]) -> list[Word]:
    """The words without dot leaders, and with a currency sign that touches the figure before it on its own.

    Boxes of the parts are cut in proportion to their letters.
    """
    kept: list[Word] = []
    for word in words:
        parts = _PARTS.findall(LEADER.sub(" ", word.text))
        if parts == [word.text]:
            kept.append(word)
            continue
        at, width = 0, (word.x1 - word.x0) / len(word.text)
        for part in parts:
            at = word.text.index(part, at)
            kept.append(
                word._replace(text=part, x0=word.x0 + at * width, x1=word.x0 + (at + len(part)) * width)
            )
            at += len(part)
    return kept


def print_lines(words: Sequence[Word]) -> list[list[Word]]:
    """Words grouped into lines of print by vertical overlap, each from left to right, lines from the top."""
    lines: list[list[Word]] = []
    spans: list[tuple[float, float]] = []
    for word in sorted(words, key=lambda w: (w.top + w.bottom, w.x0)):
        middle = (word.top + word.bottom) / 2
        for index in range(len(lines) - 1, max(-1, len(lines) - 5), -1):
            top, bottom = spans[index]
            overlap = min(bottom, word.bottom) - max(top, word.top)
            if top <= middle <= bottom and overlap > 0.5 * min(bottom - top, word.bottom - word.top):
                lines[index].append(word)
                if word.bottom - word.top > 1.4 * (bottom - top):  # a line opened by a raised footnote mark
                    spans[index] = (word.top, word.bottom)
                break
        else:
            lines.append([word])
            spans.append((word.top, word.bottom))
    order = sorted(range(len(lines)), key=lambda index: spans[index][0])
    return [sorted(lines[index], key=lambda w: w.x0) for index in order]


def segments_of(line: Sequence[Word], walls: Sequence[Rule]) -> list[Segment]:
    """A line of print cut where a gap or an upright rule separates cells."""
    size = median(word.bottom - word.top for word in line)
    gaps = [after.x0 - before.x1 for before, after in pairwise(line)]
    wide = GAP * size
    ordinary = sorted(gap for gap in gaps if gap > 0.05 * size)
    if len(ordinary) >= 5 and ordinary[-1] < 1.6 * size and ordinary[-1] < 1.8 * median(ordinary):
        wide = 2 * size  # a justified line of running text
    segments: list[Segment] = []
    current = [line[0]]
    for gap, (before, after) in zip(gaps, pairwise(line), strict=True):
        numbers = (
            is_number(before.text)
            and is_number(after.text)
            and before.text not in ("$", "€", "£")
            and before.text[-1] != ","
        )
        if (
            gap > wide
            or (numbers and gap > NUMBER_GAP * size and not re.fullmatch(r"\d{3}", after.text))
            or (numbers and after.text in SIGNS and gap > -1)
            or (walls and gap > 0 and _wall_between(before, after, walls))
        ):
            segments.append(Segment(current))
            current = []
        current.append(after)
    segments.append(Segment(current))
    return segments


def _wall_between(before: Word, after: Word, walls: Sequence[Rule]) -> bool:
    middle = (after.top + after.bottom) / 2
    first = bisect_left(walls, before.x1 - 1, key=lambda wall: wall.x0)
    last = bisect_right(walls, after.x0 + 1, key=lambda wall: wall.x0)
    return any(wall.top <= middle <= wall.bottom for wall in walls[first:last])


def rows_of(segments: Sequence[Segment]) -> list[Row]:
    """Segments grouped into rows by vertical overlap, from the top."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: (s.top + s.bottom, s.x0)):
        for row in rows[-1:-4:-1]:
            first = row[0]
            if first.top <= segment.middle <= first.bottom or segment.top <= first.middle <= segment.bottom:
                row.append(segment)
                break
        else:
            rows.append([segment])
    return sorted((Row(row) for row in rows), key=lambda row: row.top)


def prose_blocks(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Blocks of running text: lines under each other with one left edge, many words each, that fill their width."""
    blocks: list[list[Segment]] = []
    open_blocks: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: (s.top, s.x0)):
        open_blocks = [block for block in open_blocks if segment.top - block[-1].bottom < 1.2 * segment.size]
        best = None
        for block in open_blocks:
            last = block[-1]
            same_edge = abs(segment.x0 - last.x0) < 0.3 * segment.size or (
                len(block) == 1 and 0 < last.x0 - segment.x0 < 5 * segment.size  # an indented first line
            )
            below = segment.middle > last.bottom - 0.2 * last.size
            same_print = abs(segment.size - last.size) < 0.15 * last.size
            if same_edge and below and same_print and segment.top - last.bottom < 0.9 * segment.size:
                best = block
        if best is None:
            best = []
            blocks.append(best)
            open_blocks.append(best)
        best.append(segment)
    if not segments:
        return []
    left, right = min(s.x0 for s in segments), max(s.x1 for s in segments)
    found: list[list[Segment]] = []
    for block in blocks:
        # A line or two that end before the right margin may be a long label.
        if len(block) < PROSE_LINES and max(s.x1 for s in block) <= left + 0.8 * (right - left):
            continue
        for part in (block, block[1:]):  # a heading may stand close above
            if part and is_prose(part):
                found.append(part)
                break
    return found


def is_prose(block: Sequence[Segment]) -> bool:
    """Whether lines under each other are running text."""
    words = [word for segment in block for word in segment.words]
    letters = sum(any(c.isalpha() for c in word.text) and not is_number(word.text) for word in words)
    if letters < 0.7 * len(words):
        return False
    x0, x1 = min(s.x0 for s in block), max(s.x1 for s in block)
    size = block[0].size
    characters = sum(len(segment.text) for segment in block) / len(block)
    if len(block) < PROSE_LINES:
        # One or two lines: only where they are long.
        return x1 - x0 > 30 * size and len(words) / len(block) >= (10 if len(block) == 1 else 8)
    if len(words) < PROSE_WORDS * len(block) and characters < 25:
        return False
    body = block[:-1]
    full = sum(segment.x1 - x0 >= PROSE_FILL * (x1 - x0) for segment in body)
    return full >= 0.7 * len(body) and x1 - x0 > 12 * size
