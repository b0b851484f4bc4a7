"""Columns of print: the parts of a page that are read one beside the other, told before any lines are made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from doyen_documents.tables.lines import is_number, print_lines
from doyen_documents.tables.model import Word
from doyen_documents.tables.rules import Rule

# A gutter stands within this share of the page's print, and beside at least so many full lines of running text.
MIDDLE: Final = (0.2, 0.8)
FULL_LINES: Final = 5
DEPTH: Final = 2
STEP: Final = 2.0


def split_page(words: Sequence[Word], level: Sequence[Rule] = (), depth: int = DEPTH) -> list[list[Word]]:
    """The words of each column of print, and what runs across them; all words together where there are none."""
    if depth == 0 or len(words) < 60:
        return [list(words)]
    for gutter in _gutters(words):
        crossing = [word for word in words if word.x0 < gutter < word.x1]
        bands = _bands(words, crossing, gutter, level)
        if bands:
            inside: set[int] = set()
            parts: list[list[Word]] = []
            for band in bands:
                inside |= {id(word) for word in band}
                parts += split_page([word for word in band if word.x1 <= gutter], level, depth - 1)
                parts += split_page([word for word in band if word.x0 >= gutter], level, depth - 1)
            rest = [word for word in words if id(word) not in inside]
            return [part for part in [rest, *parts] if part]
    return [list(words)]


def _gutters(words: Sequence[Word]) -> list[float]:
    """The middles of the strips of the page that the fewest words cross, best first."""
    left, right = min(word.x0 for word in words), max(word.x1 for word in words)
    slots = int((right - left) / STEP) + 1
    change = [0] * (slots + 1)
    for word in words:
        change[int((word.x0 - left) / STEP)] += 1
        change[int((word.x1 - left) / STEP) + 1 if int((word.x1 - left) / STEP) < slots else slots] -= 1
    crossed: list[int] = []
    total = 0
    for slot in range(slots):
        total += change[slot]
        crossed.append(total)
    low, high = int(MIDDLE[0] * slots), int(MIDDLE[1] * slots)
    strips: list[tuple[int, int, float]] = []
    slot = low
    while slot < high:
        end = slot
        while end < high and crossed[end] == crossed[slot]:
            end += 1
        if crossed[slot] <= 0.08 * len(words):
            strips.append((crossed[slot], slot - end, left + (slot + end) / 2 * STEP))
        slot = end
    return [middle for _, _, middle in sorted(strips)[:4]]


def _bands(
    words: Sequence[Word], crossing: Sequence[Word], gutter: float, level: Sequence[Rule]
) -> list[list[Word]]:
    """The runs of print between the words that cross a gutter, where running text stands beside it."""
    limits = [float("-inf"), *sorted((word.top + word.bottom) / 2 for word in crossing), float("inf")]
    bands: list[list[Word]] = []
    for top, bottom in pairwise(limits):
        band = [word for word in words if top < word.top and word.bottom < bottom]
        left = [word for word in band if word.x1 <= gutter]
        right = [word for word in band if word.x0 >= gutter]
        if not left or not right:
            continue
        band_top, band_bottom = min(word.top for word in band), max(word.bottom for word in band)
        if any(rule.x0 < gutter < rule.x1 and band_top < rule.top < band_bottom for rule in level):
            continue
        (few, few_share), (many, many_share) = sorted((_full_lines(left), _full_lines(right)))
        if many >= FULL_LINES and many_share >= 0.4 and few >= 2 and few_share >= 0.25:
            bands.append(band)
    return bands


def _full_lines(words: Sequence[Word]) -> tuple[int, float]:
    """How many lines, and which share of them, are running text: several words that fill the print's width."""
    x0, x1 = min(word.x0 for word in words), max(word.x1 for word in words)
    full = 0
    lines = print_lines(words)
    for line in lines:
        texts = [word for word in line if not is_number(word.text)]
        characters = sum(len(word.text) for word in line)
        widest = max((after.x0 - before.x1 for before, after in pairwise(line)), default=0.0)
        if (
            len(texts) >= 0.7 * len(line)
            and (len(line) >= 4 or characters >= 15)
            and widest < 1.3 * (line[0].bottom - line[0].top)
            and line[-1].x1 - line[0].x0 >= 0.85 * (x1 - x0)
        ):
            full += 1
    return full, full / len(lines)
