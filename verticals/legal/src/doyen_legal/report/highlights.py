"""The contract's text as blocks of pieces, with the highlights of all findings resolved into plain segments.

Evidence overlaps: ranges are cut at every border, so that each segment has one set of findings. One sweep, no tree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from doyen_schemas import Document, Section

# A passage under more findings than this shows the shortest ones; the others still light up from their cards.
_MOST: Final = 8
_SHADES: Final = ("reject", "risk", "needs_review", "ok", "info")


class Range(NamedTuple):
    """A range to highlight; ``shade`` is a status, or ``rel`` for related evidence."""

    start: int
    end: int
    finding: int
    shade: str


class Piece(NamedTuple):
    """A stretch of text: plain, in bold (a heading), highlighted (``segment``), or a page mark (``page``)."""

    text: str = ""
    segment: int | None = None
    css: str = ""
    findings: str = ""
    bold: bool = False
    page: int | None = None


@dataclass
class Block:
    """One paragraph; ``css`` says heading, title or level."""

    css: str
    pieces: list[Piece] = field(default_factory=list)


@dataclass
class Highlights:
    """The blocks, and for every range of the input the first and last of its segments (None: empty range)."""

    blocks: list[Block]
    segments: list[tuple[int, int] | None]


def lay_out(document: Document, ranges: Sequence[Range]) -> Highlights:
    """Cut the text into blocks and segments, and say which segments each range covers."""
    text = document.text
    headings = {section.start: section for section in document.sections}
    starts = sorted(headings)
    pages = {page.start: page.number for page in document.pages}
    borders: set[int] = {border for r in ranges if r.start < r.end for border in (r.start, r.end)}
    borders |= set(pages) | {headings[start].heading_end for start in starts}
    cuts = sorted(borders)
    opening = sorted(range(len(ranges)), key=lambda index: ranges[index].start)
    segments: list[tuple[int, int] | None] = [None] * len(ranges)
    active: dict[int, None] = {}
    next_range = segment = position = 0
    blocks: list[Block] = []
    for line in text.split("\n"):
        end = position + len(line)
        block = Block(_css(headings, starts, position, end))
        inner = cuts[bisect_right(cuts, position) : bisect_right(cuts, end)]
        for start, stop in zip([position, *inner], [*inner, end], strict=True):
            if start in pages:
                block.pieces.append(Piece(page=pages.pop(start)))
            if start == stop:
                continue
            while next_range < len(opening) and ranges[opening[next_range]].start <= start:
                active[opening[next_range]] = None
                next_range += 1
            for index in [index for index in active if ranges[index].end <= start]:
                del active[index]
            if not active:
                at = bisect_right(starts, start) - 1
                bold = at >= 0 and start < headings[starts[at]].heading_end
                block.pieces.append(Piece(text[start:stop], bold=bold))
                continue
            for index in active:
                first, _ = segments[index] or (segment, segment)
                segments[index] = (first, segment)
            block.pieces.append(_marked(text[start:stop], segment, [ranges[index] for index in active]))
            segment += 1
        # an empty line parts paragraphs, which are blocks already; a page mark on it goes to the next block
        if line.strip():
            blocks.append(block)
        else:
            for piece in block.pieces:
                if piece.page is not None:
                    pages[end + 1] = piece.page
        position = end + 1
    return Highlights(blocks, segments)


def _marked(text: str, segment: int, ranges: list[Range]) -> Piece:
    own = sorted((r for r in ranges if r.shade != "rel"), key=lambda r: r.end - r.start)
    if not own:
        return Piece(text, segment, "rel")
    shade = min((r.shade for r in own), key=_SHADES.index)
    findings = list(dict.fromkeys(str(r.finding) for r in own))
    css = f"s-{shade} many" if len(findings) > 1 else f"s-{shade}"
    return Piece(text, segment, css, " ".join(findings[:_MOST]))


def _css(headings: dict[int, Section], starts: list[int], start: int, end: int) -> str:
    at = bisect_right(starts, end - 1 if end > start else end) - 1
    if at < 0:
        return ""
    section = headings[starts[at]]
    level = f"l{min(section.level, 4)}" if section.number else ""
    alone = section.start >= start and section.heading_end >= end and bool(section.title)
    if not alone:
        return level
    return f"h {level}".strip() if section.number else "t"
