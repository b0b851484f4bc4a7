"""From lines to running text: which line breaks are meant, which only wrap, and what stood in their place.

Every piece of output says what it replaced, so that the document can give the print back (``Document.raw``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final, Literal, NamedTuple

from doyen_documents.layout import Line, Word
from doyen_documents.running import Sheet
from doyen_documents.sections import begins_section

PARAGRAPH_GAP: Final = 1.35
# A gap of this many letter heights is a table's or a list's stop.
WIDE_GAP: Final = 3
FEW_LINES: Final = 8

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


def to_pieces(sheets: Sequence[Sheet]) -> list[Piece]:
    """The pages as a run of pieces.

    Raw is each page's lines with a newline between (two where the print leaves a paragraph's gap), running headers
    and footers among them, and a form feed between pages.
    """
    joints = _joints(sheets)
    pieces: list[Piece] = []
    joint: Joint | None = None  # due before the next line of the body
    for page, sheet in enumerate(sheets):
        number, body = sheet.number, _body(sheet)
        if page:
            joined = joint if body else None
            if joined is not None:
                pieces += _joint_pieces(pieces, joined, number)
                joint = None
            else:
                pieces.append(Piece(number, "", "\n\f", "space"))
        for index, line in enumerate(sheet.lines):
            kind = sheet.running.get(index)
            if kind is None:
                if joint is not None:
                    pieces += _joint_pieces(pieces, joint, number)
                pieces += _line_pieces(line, number)
                joint = joints[page, index]
            elif index < body[-1] if body else True:
                # On a page without body the joint waits for the next one: the page's own break stands already.
                if joint is not None and body:
                    pieces += _joint_pieces(pieces, joint, number)
                    joint = None
                pieces.append(Piece(number, "", f"{line.text}\n", kind))
            else:
                pieces.append(Piece(number, "", f"\n{line.text}", kind))
    return pieces


def _body(sheet: Sheet) -> list[int]:
    """The indexes of the lines that are no running header or footer."""
    return [index for index in range(len(sheet.lines)) if index not in sheet.running]


def _joint_pieces(pieces: list[Piece], joint: Joint, page: int) -> list[Piece]:
    if joint.cut:
        _cut_hyphen(pieces)
    return [Piece(page, joint.text, joint.raw, joint.kind)]


def _line_pieces(line: Line, page: int) -> list[Piece]:
    pieces: list[Piece] = []
    for index, word in enumerate(line.words):
        if index:
            gap = "\t" if word.x0 - line.words[index - 1].x1 > WIDE_GAP * line.size else " "
            pieces.append(Piece(page, gap, gap))
        pieces.append(Piece(page, word.text, word.text, word=word, turn=line.turn))
    return pieces


def _cut_hyphen(pieces: list[Piece]) -> None:
    """Drop the hyphen of the last word: it only divided the word."""
    index = next(i for i in reversed(range(len(pieces))) if pieces[i].word is not None)
    piece = pieces[index]
    pieces[index] = piece._replace(text=piece.text[:-1], raw=piece.raw[:-1])
    pieces.insert(index + 1, Piece(piece.page, "", piece.raw[-1], "hyphen"))


def _joints(sheets: Sequence[Sheet]) -> dict[tuple[int, int], Joint]:
    """The joint after each line of the body, by page and line index; the last line has none."""
    vocabulary = Counter(
        word.text.strip(".,;:()[]\"'“”’").lower()
        for sheet in sheets
        for line in sheet.lines
        for word in line.words
    )
    indexes = [_body(sheet) for sheet in sheets]
    bodies = [[sheet.lines[i] for i in found] for sheet, found in zip(sheets, indexes, strict=True)]
    leadings = [_leading(body) for body in bodies]
    usual = median([value for value in leadings if value] or [14.0])
    margin = median([_margin(body) for body in bodies if len(body) >= FEW_LINES] or [0.0])
    places = [
        (page, index, line, right)
        for page, body in enumerate(bodies)
        for index, line, right in zip(indexes[page], body, _rights(body, margin), strict=True)
    ]
    joints: dict[tuple[int, int], Joint] = {}
    for (page, index, before, right), (next_page, next_index, after, _) in pairwise(places):
        if page != next_page:
            joint = _across(before, after, right, vocabulary, "\n\f")
        elif (before.column, before.turn) != (after.column, after.turn) or next_index > index + 1:
            joint = _across(before, after, right, vocabulary, "\n")
        elif _is_paragraph_gap(before, after, leadings[page] or usual):
            joint = _across(before, after, right, vocabulary, "\n\n")
        elif _is_break(before, after, right):
            joint = Joint("\n", "\n")
        else:
            joint = _joined(before, after, vocabulary, "\n")
        joints[page, index] = joint
    if places:
        joints[places[-1][:2]] = Joint("", "")
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


def _rights(lines: Sequence[Line], usual: float) -> list[float]:
    """For each line the right margin that its text could have reached: its column's, or its own narrower block's.

    A page of few lines says little about its margin: there the document's usual one counts.
    """
    margins = {
        column: _margin([line for line in lines if line.column == column])
        for column in {line.column for line in lines}
    }
    if len(lines) < FEW_LINES:
        margins = {column: max(margin, usual) for column, margin in margins.items()}
    rights: list[float] = []
    for index, line in enumerate(lines):
        # A block set narrower (a quotation) shows as wide neighbours that end at the same x.
        near = [other.x1 for other in lines[max(0, index - 2) : index + 3] if other.column == line.column]
        own = [x for x in near if abs(x - line.x1) <= 0.5 * line.size]
        narrower = len(own) >= 3 and line.x1 - line.x0 > 0.5 * (margins[line.column] - line.x0)
        rights.append(line.x1 if narrower else max(margins[line.column], line.x1))
    return rights


def _margin(lines: Sequence[Line]) -> float:
    """Where lines end at the right, a few that stick out left aside."""
    ends = sorted(line.x1 for line in lines)
    return ends[int(0.95 * (len(ends) - 1))]


def _is_paragraph_gap(before: Line, after: Line, leading: float) -> bool:
    step = after.top - before.top
    return step > PARAGRAPH_GAP * leading or step < -leading


def _is_break(before: Line, after: Line, right: float) -> bool:
    """Whether a new line starts on purpose: its first word would have fitted above, or its form says so."""
    if right - before.x1 > _room(before, after) or _is_row(before):
        return True
    if max(before.size, after.size) > 1.25 * min(before.size, after.size) + 0.5:
        return True
    ended = before.text[-1] in '.:;!?)”"'
    if begins_section(after.text):
        return ended or after.x0 < before.x0 - 2 or before.text.endswith((" and", " or"))
    return ended and after.x0 > before.x0 + 0.8 * before.size and not begins_section(before.text)


def _is_row(line: Line) -> bool:
    """Whether wide gaps make the line a table's row or a contents entry; the gap after a number does not."""
    gaps = [
        index
        for index, (before, after) in enumerate(pairwise(line.words))
        if after.x0 - before.x1 > WIDE_GAP * line.size
    ]
    first = line.words[0].text
    return any(index > 0 or (len(first) > 2 and first.isalpha()) for index in gaps)


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
        and (after.text[0].islower() or "\f" in raw)
        and abs(before.size - after.size) < 1.5
    )
    if runs_on:
        return _joined(before, after, vocabulary, raw)
    return Joint("\n\n", raw, None if raw == "\n\n" else "space")


def _joined(before: Line, after: Line, vocabulary: Counter[str], raw: str) -> Joint:
    """Two lines of one paragraph as one: a space, or nothing after a hyphen that stands in a word."""
    head, tail = before.words[-1].text, after.words[0].text
    if len(head) > 1 and head[-1] in "-\u2010" and head[-2].isalpha() and tail[0].isalpha():
        return Joint("", raw, "hyphen", cut=_divides(head, tail, vocabulary))
    return Joint(" ", raw, "wrap")


def _divides(head: str, tail: str, vocabulary: Counter[str]) -> bool:
    """Whether the hyphen at a line's end only divides a word, judged by the words that the document itself uses."""
    left = re.split(r"\W", head[:-1])[-1].lower()
    right = re.match(r"\w+", tail)
    if not tail[0].islower() or right is None:
        return False
    return vocabulary[left + right[0]] > 0 and vocabulary[f"{left}-{right[0]}"] == 0
