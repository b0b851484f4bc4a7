"""From words with boxes to lines in reading order, columns included.

Boxes are in the reading frame of the page (text runs left to right), in points from the top left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

COLUMN_LINES: Final = 12


class Word(NamedTuple):
    """A word and its box."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float


class Line(NamedTuple):
    """Words on one line of print, the column that they stand in, and the direction in which they run."""

    words: tuple[Word, ...]
    column: int = 0
    turn: int = 0

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def x1(self) -> float:
        return max(word.x1 for word in self.words)

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)

    @property
    def size(self) -> float:
        return median(word.bottom - word.top for word in self.words)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def find_lines(words: Sequence[Word]) -> list[Line]:
    """The lines of a page in reading order: down the page, and down each column where there are two."""
    lines = _rows(words)
    gutter = _gutter(lines)
    if gutter is None:
        return lines
    ordered: list[Line] = []
    band: list[tuple[list[Word], list[Word]]] = []

    def flush() -> None:
        for column in (0, 1):
            ordered.extend(Line(tuple(halves[column]), column + 1) for halves in band if halves[column])
        band.clear()

    for line in lines:
        if any(word.x0 < gutter < word.x1 for word in line.words) or not _clear(line, gutter):
            flush()
            ordered.append(line)
        else:
            band.append(
                ([w for w in line.words if w.x1 <= gutter], [w for w in line.words if w.x0 >= gutter])
            )
    flush()
    return ordered


def _rows(words: Sequence[Word]) -> list[Line]:
    """Words grouped by vertical overlap: a word belongs to the row whose middle it covers, or that covers its."""
    rows: list[list[Word]] = []
    tops: list[float] = []
    bottoms: list[float] = []
    for word in sorted(words, key=lambda w: (w.top + w.bottom, w.x0)):
        middle = (word.top + word.bottom) / 2
        for index in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            row_middle = (tops[index] + bottoms[index]) / 2
            if tops[index] <= middle <= bottoms[index] and (
                word.top <= row_middle <= word.bottom or word.bottom - word.top < bottoms[index] - tops[index]
            ):
                rows[index].append(word)
                break
        else:
            rows.append([word])
            tops.append(word.top)
            bottoms.append(word.bottom)
    order = sorted(range(len(rows)), key=lambda index: tops[index])
    return [Line(tuple(sorted(rows[index], key=lambda w: w.x0))) for index in order]


def _clear(line: Line, gutter: float) -> bool:
    """Whether a line leaves the gutter free by more than a word space."""
    left = [word.x1 for word in line.words if word.x1 <= gutter]
    right = [word.x0 for word in line.words if word.x0 >= gutter]
    return not left or not right or min(right) - max(left) > 0.8 * line.size


def _gutter(lines: list[Line]) -> float | None:
    """The x of the free strip between two columns of running text, or None.

    Tables and signature blocks also leave strips free: columns are meant only where at least ``COLUMN_LINES`` lines
    have text of several words that fills both halves.
    """
    if len(lines) < COLUMN_LINES:
        return None
    left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
    width = right - left
    gaps = Counter(
        round((before.x1 + after.x0) / 2 / 6)
        for line in lines
        for before, after in pairwise(line.words)
        if after.x0 - before.x1 > 0.8 * line.size
        and left + 0.3 * width < (before.x1 + after.x0) / 2 < right - 0.3 * width
    )
    if not gaps:
        return None
    bucket = max(gaps, key=lambda key: gaps[key - 1] + gaps[key] + gaps[key + 1])
    spots = [
        (before.x1 + after.x0) / 2
        for line in lines
        for before, after in pairwise(line.words)
        if after.x0 - before.x1 > 0.8 * line.size and abs((before.x1 + after.x0) / 2 / 6 - bucket) <= 1.5
    ]
    gutter = median(spots)
    both = [
        line
        for line in lines
        if _clear(line, gutter)
        and not any(word.x0 < gutter < word.x1 for word in line.words)
        and line.words[0].x1 <= gutter <= line.words[-1].x0
    ]
    full = [
        line
        for line in both
        if sum(word.x1 <= gutter for word in line.words) >= 3
        and sum(word.x0 >= gutter for word in line.words) >= 3
        and sum(word.x1 - word.x0 for word in line.words) > 0.6 * width
    ]
    return gutter if len(full) >= COLUMN_LINES and 2 * len(full) >= len(lines) else None
