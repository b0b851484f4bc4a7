"""From words with boxes to paragraphs: lines, columns, running headers and footers, joined line wraps.

Boxes are in the reading frame of the page (text runs left to right), in points from the top left.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Literal, NamedTuple

from doyen_documents.sections import begins_section

EDGE_LINES: Final = 4
COLUMN_LINES: Final = 12
PARAGRAPH_GAP: Final = 1.35


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


@dataclass
class PageLines:
    """A page's lines in reading order and which of them are running headers (from the top) and footers."""

    number: int
    lines: list[Line]
    headers: int = 0
    footers: int = 0

    @property
    def body(self) -> list[Line]:
        return self.lines[self.headers : len(self.lines) - self.footers]


# --- lines and columns -------------------------------------------------------------------------------------------


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


# --- running headers and footers ---------------------------------------------------------------------------------


def mark_running(pages: Sequence[PageLines]) -> None:
    """Set ``headers`` and ``footers`` of each page: lines at its edges that come again at the same height.

    Digits and Roman numerals count as equal, so a page number is a line that comes again.
    """
    for edge in ("headers", "footers"):
        groups: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
        for index, page in enumerate(pages):
            ordered = page.lines if edge == "headers" else page.lines[::-1]
            for depth, line in enumerate(ordered[:EDGE_LINES]):
                groups[_running_key(line.text)].append((index, depth, line.top))
        running = {
            (index, depth)
            for hits in groups.values()
            for index, depth, top in hits
            if _repeats({i for i, _, other in hits if abs(other - top) <= 8}, len(pages))
        }
        for index, page in enumerate(pages):
            depth = 0
            while (index, depth) in running and depth < len(page.lines):
                depth += 1
            setattr(page, edge, min(depth, len(page.lines) - (page.headers if edge == "footers" else 0)))


def _repeats(pages: set[int], total: int) -> bool:
    """On at least three pages and a fifth of all, or on both pages of two."""
    return (len(pages) >= 3 and 5 * len(pages) >= total) or (total == 2 and len(pages) == 2)


def _running_key(text: str) -> str:
    text = re.sub(r"\b[ivxlc]+\b", "#", text.lower())
    return re.sub(r"\d+", "#", " ".join(text.split()))


# --- paragraphs --------------------------------------------------------------------------------------------------

EditKind = Literal["wrap", "hyphen", "header", "footer", "space"]


class Piece(NamedTuple):
    """A stretch of output: ``text`` stands where ``raw`` stood. A word carries its box and direction."""

    page: int
    text: str
    raw: str
    kind: EditKind | None = None
    word: Word | None = None
    turn: int = 0


class Joint(NamedTuple):
    """What stands between two lines of the body, and what stood there in print.

    ``cut`` drops the hyphen that ends the first line.
    """

    text: str
    raw: str
    kind: EditKind | None = None
    cut: bool = False


def to_pieces(pages: Sequence[PageLines]) -> list[Piece]:
    """The pages as a run of pieces.

    Raw is each page's lines with a newline between (two where the print leaves a paragraph's gap), headers and
    footers among them, and a form feed between pages.
    """
    joints = _joints(pages)
    pieces: list[Piece] = []
    previous: Joint | None = None
    for index, (page, page_joints) in enumerate(zip(pages, joints, strict=True)):
        number, body = page.number, page.body
        if index:
            if previous is not None and body:
                if previous.cut:
                    _cut_hyphen(pieces)
                pieces.append(Piece(number, previous.text, previous.raw, previous.kind))
                previous = None
            else:
                pieces.append(Piece(number, "", "\n\f", "space"))
        pieces += [Piece(number, "", f"{line.text}\n", "header") for line in page.lines[: page.headers]]
        for line, joint in zip(body, page_joints, strict=True):
            pieces += _line_pieces(line, number)
            if line is body[-1]:
                previous = joint
                break
            if joint.cut:
                _cut_hyphen(pieces)
            pieces.append(Piece(number, joint.text, joint.raw, joint.kind))
        foot = page.lines[len(page.lines) - page.footers :]
        pieces += [Piece(number, "", f"\n{line.text}", "footer") for line in foot]
    return pieces


def _line_pieces(line: Line, page: int) -> list[Piece]:
    pieces: list[Piece] = []
    for index, word in enumerate(line.words):
        if index:
            # A gap of several letters is a table's or a list's stop, and a tab says so.
            gap = "\t" if word.x0 - line.words[index - 1].x1 > 3 * line.size else " "
            pieces.append(Piece(page, gap, gap))
        pieces.append(Piece(page, word.text, word.text, word=word, turn=line.turn))
    return pieces


def _cut_hyphen(pieces: list[Piece]) -> None:
    """Drop the hyphen of the last word: it only divided the word."""
    index = next(i for i in reversed(range(len(pieces))) if pieces[i].word is not None)
    piece = pieces[index]
    pieces[index] = piece._replace(text=piece.text[:-1], raw=piece.raw[:-1])
    pieces.insert(index + 1, Piece(piece.page, "", piece.raw[-1], "hyphen"))


def _joints(pages: Sequence[PageLines]) -> list[list[Joint]]:
    """For each line of each page's body the joint to the line after it, on this page or the next."""
    vocabulary = Counter(
        word.text.strip(".,;:()[]\"'“”’").lower()
        for page in pages
        for line in page.lines
        for word in line.words
    )
    leadings = [_leading(page.body) for page in pages]
    usual = median([value for value in leadings if value] or [14.0])
    lines = [
        (index, line, right)
        for index, page in enumerate(pages)
        for line, right in zip(page.body, _rights(page.body), strict=True)
    ]
    joints: list[list[Joint]] = [[] for _ in pages]
    for (index, before, right), (next_index, after, _) in pairwise(lines):
        if index != next_index:
            joint = _across(before, after, right, vocabulary, "\n\f")
        elif (before.column, before.turn) != (after.column, after.turn):
            joint = _across(before, after, right, vocabulary, "\n")
        elif _is_paragraph_gap(before, after, leadings[index] or usual):
            joint = _across(before, after, right, vocabulary, "\n\n")
        elif _is_break(before, after, right):
            joint = Joint("\n", "\n")
        else:
            joint = _joined(before, after, vocabulary, "\n")
        joints[index].append(joint)
    if lines:
        joints[lines[-1][0]].append(Joint("", ""))
    return joints


def _leading(lines: Sequence[Line]) -> float | None:
    """The usual step from line to line in points, or None where the page is too short to tell."""
    steps = sorted(
        after.top - before.top
        for before, after in pairwise(lines)
        if before.column == after.column and 0.6 * before.size < after.top - before.top < 3 * before.size
    )
    # Not the middle: on a page of short paragraphs half of all steps can be paragraph gaps.
    return steps[len(steps) // 3] if len(steps) >= 4 else None


def _rights(lines: Sequence[Line]) -> list[float]:
    """For each line the right margin that its text could have reached: its column's, or its own narrower block's."""
    margins = {
        column: _percentile([line.x1 for line in lines if line.column == column], 0.95)
        for column in {line.column for line in lines}
    }
    rights: list[float] = []
    for index, line in enumerate(lines):
        # A block set narrower (a quotation) shows as neighbours that end at the same x.
        near = [other.x1 for other in lines[max(0, index - 2) : index + 3] if other.column == line.column]
        own = [x for x in near if abs(x - line.x1) <= 0.5 * line.size]
        rights.append(line.x1 if len(own) >= 3 else max(margins[line.column], line.x1))
    return rights


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def _is_paragraph_gap(before: Line, after: Line, leading: float) -> bool:
    step = after.top - before.top
    return step > PARAGRAPH_GAP * leading or step < -leading


def _is_break(before: Line, after: Line, right: float) -> bool:
    """Whether a new line starts on purpose: its first word would have fitted above, or its form says so."""
    if right - before.x1 > _room(before, after):
        return True
    if max(before.size, after.size) > 1.25 * min(before.size, after.size) + 0.5:
        return True
    ended = before.text[-1] in '.:;!?)”"'
    if begins_section(after.text):
        return ended or after.x0 < before.x0 - 2 or before.text.endswith((" and", " or"))
    return ended and after.x0 > before.x0 + 0.8 * before.size and not begins_section(before.text)


def _room(before: Line, after: Line) -> float:
    """The space that the first word of ``after`` would have taken at the end of ``before``."""
    return after.words[0].x1 - after.words[0].x0 + 0.8 * before.size


def _across(before: Line, after: Line, right: float, vocabulary: Counter[str], raw: str) -> Joint:
    """The joint of two pages, two columns or over a gap: a paragraph that plainly runs on is joined.

    A gap inside a page can be a page's end in the print that the PDF was made from.
    """
    runs_on = (
        right - before.x1 <= _room(before, after)
        and not begins_section(after.text)
        and before.text[-1] not in ".:;!?"
        and after.text[0].islower()
        and abs(before.size - after.size) < 1.5
    )
    if runs_on:
        return _joined(before, after, vocabulary, raw)
    return Joint("\n\n", raw, None if raw == "\n\n" else "space")


def _joined(before: Line, after: Line, vocabulary: Counter[str], raw: str) -> Joint:
    """Two lines of one paragraph as one: a space, or nothing after a hyphen that stands in a word."""
    head, tail = before.words[-1].text, after.words[0].text
    if len(head) > 1 and head[-1] in "-\u00ad\u2010" and head[-2].isalpha() and tail[0].isalpha():
        return Joint("", raw, "hyphen", cut=_divides(head, tail, vocabulary))
    return Joint(" ", raw, "wrap")


def _divides(head: str, tail: str, vocabulary: Counter[str]) -> bool:
    """Whether the hyphen at a line's end only divides a word, judged by the words that the document itself uses."""
    if head[-1] == "\u00ad":
        return True
    left = re.split(r"\W", head[:-1])[-1].lower()
    right = re.match(r"\w+", tail)
    if not tail[0].islower() or right is None:
        return False
    return vocabulary[left + right[0]] > 0 and vocabulary[f"{left}-{right[0]}"] == 0
