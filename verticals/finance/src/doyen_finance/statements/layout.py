"""Words of a page to rows: number columns by their right edges, labels joined over lines, headings above columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from statistics import median
from typing import Final, Literal, NamedTuple

from doyen_documents.tables.model import Word
from doyen_finance.statements.numbers import CURRENCIES, parse_number

_NUMERIC: Final = re.compile(r"[-(+−–—$€£¥￥△]*(?:\d[\d,.' ]*|[-−–—]{1,3}|\.\d+)[)%]*(?:\(\w\)|\*)?")
_SIGNS: Final = frozenset(sign for sign in CURRENCIES if not sign.isalpha() or not sign.isascii()) | {
    "(",
    "$(",
    "￥",
}
_CLOSING: Final = frozenset({")", "%", ")%", "%)"})
_MARK: Final = re.compile(r"\(?[\da-z*†‡§¹²³]{1,2}\)?(?:,\(?[\da-z]{1,2}\)?)*")
# Right edges of one column's numbers differ by brackets that hang out and by digits' widths.
EDGE: Final = 3.0
MIN_ROWS: Final = 2
# Rules are believed to part rows from so many rows on.
RULED_ROWS: Final = 4
# Lines further apart than this many heights have an empty line between them.
EMPTY_LINE: Final = 1.9
# A number that opens a line so near to the left edge is the rest of a broken label.
MARGIN: Final = 36.0
# A label that ends with one of these goes on.
_DANGLING: Final = frozenset(
    [
        "of",
        "and",
        "at",
        "the",
        "to",
        "in",
        "for",
        "by",
        "with",
        "or",
        "from",
        "on",
        "a",
        "an",
        "per",
        "as",
        "&",
        "than",
        "under",
        "into",
    ]
)
# Words stand closer than this share of their height; cells do not.
WORD_SPACE: Final = 0.62


@dataclass(frozen=True, slots=True)
class Piece:
    """Text and its box in the page's reading frame."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def center(self) -> float:
        return (self.x0 + self.x1) / 2

    @property
    def edge(self) -> float:
        """Where the digits end: a closing bracket or percent sign hangs out of the column."""
        tail = len(self.text) - len(self.text.rstrip(")%*"))
        return self.x1 - 0.6 * tail * (self.x1 - self.x0) / max(1, len(self.text))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers: leftmost start (with currency sign) and right edge of the digits."""

    left: float
    edge: float

    @property
    def center(self) -> float:
        return (self.left + self.edge) / 2


@dataclass(slots=True)
class Line:
    """Words with one base line; ``label`` is what stands left of its numbers."""

    words: list[Piece]
    top: float
    bottom: float

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class Row:
    """A row: its label with box, and its number cells by column."""

    label: str
    box: tuple[float, float, float, float]
    cells: dict[int, Piece] = field(default_factory=dict)


def find_lines(words: Sequence[Word]) -> list[Line]:
    """Words grouped by their middles, top to bottom, each left to right; raised marks that point to notes are left out."""
    if not words:
        return []
    height = median(word.bottom - word.top for word in words)
    pieces = [Piece(*word) for word in words]
    pieces = [p for p in pieces if p.bottom - p.top > 0.72 * height or not _MARK.fullmatch(p.text)]
    lines: list[Line] = []
    for piece in sorted(pieces, key=lambda p: (p.middle, p.x0)):
        last = lines[-1] if lines else None
        if last and abs(piece.middle - last.middle) < 0.25 * max(piece.bottom - piece.top, 4):
            last.words.append(piece)
        else:
            lines.append(Line([piece], piece.top, piece.bottom))
    for line in lines:
        line.words.sort(key=lambda p: p.x0)
        line.top = min(p.top for p in line.words)
        line.bottom = max(p.bottom for p in line.words)
    return lines


def tokens(line: Line) -> list[Piece]:
    """The line's words with currency signs, brackets and percent signs joined to the number that they belong to."""
    joined: list[Piece] = []
    pending: list[Piece] = []
    for word in line.words:
        if word.text in _SIGNS:
            pending.append(word)
            continue
        if pending:
            if _NUMERIC.fullmatch(word.text):
                word = _join([*pending, word])
            else:
                joined += pending
            pending = []
        if (
            joined
            and word.text in _CLOSING
            and _NUMERIC.fullmatch(joined[-1].text)
            and word.x0 - joined[-1].x1 < 12
        ):
            word = _join([joined.pop(), word])
        joined.append(word)
    return joined + pending


def _join(parts: Sequence[Piece]) -> Piece:
    return Piece(
        " ".join(part.text for part in parts).replace("( ", "(").replace(" )", ")"),
        parts[0].x0, min(p.top for p in parts), parts[-1].x1, max(p.bottom for p in parts),
    )  # fmt: skip


def is_number(piece: Piece) -> bool:
    """Whether a token reads as one number, a dash included."""
    return (
        _NUMERIC.fullmatch(piece.text.replace("$ ", "$").replace(" ", "")) is not None
        and parse_number(piece.text) is not None
    )


def _standing_free(pieces: Sequence[Piece], index: int) -> bool:
    """Whether gaps wider than a word space are beside a token, so that it is a cell and no part of a label."""
    piece = pieces[index]
    space = WORD_SPACE * (piece.bottom - piece.top)
    if (
        index + 1 < len(pieces)
        and pieces[index + 1].x0 - piece.x1 <= space
        and not is_number(pieces[index + 1])
    ):
        return False
    if index and is_number(pieces[index - 1]):  # two numbers are two cells
        space *= 0.5
    return index == 0 or piece.x0 - pieces[index - 1].x1 > space


def find_columns(lines: Sequence[Line]) -> list[Column]:
    """Columns of numbers: right edges that at least two rows share; years in headings count as well."""
    found: list[_Found] = []
    for number, line in enumerate(lines):
        pieces = tokens(line)
        found += [
            _Found(piece.edge, piece.x0, number, index == 0)
            for index, piece in enumerate(pieces)
            if is_number(piece) and _standing_free(pieces, index)
        ]
    clusters: list[list[_Found]] = []
    for item in sorted(found):
        if (clusters and item.edge - clusters[-1][-1].edge <= EDGE) or (
            clusters and _same_column(clusters[-1], item)
        ):
            clusters[-1].append(item)
        else:
            clusters.append([item])
    left = min((line.words[0].x0 for line in lines), default=0.0)
    kept = []
    for cluster in clusters:
        at_margin = sum(item.first and item.x0 < left + MARGIN for item in cluster)
        if len({item.line for item in cluster}) >= MIN_ROWS and at_margin < len(cluster) / 2:
            kept.append(Column(min(item.x0 for item in cluster), median(item.edge for item in cluster)))
    return kept


class _Found(NamedTuple):
    edge: float
    x0: float
    line: int
    first: bool


def _same_column(cluster: Sequence[_Found], item: _Found) -> bool:
    """Whether a number overlaps a column's numbers without ever standing beside one."""
    return item.x0 < cluster[-1].edge and item.line not in {other.line for other in cluster}


def split_line(line: Line, columns: Sequence[Column]) -> tuple[list[Piece], dict[int, Piece]]:
    """The words of a line's label, and its number cells by column."""
    pieces = tokens(line)
    cells: dict[int, Piece] = {}
    rest: list[Piece] = []
    for index, piece in enumerate(pieces):
        column = _column_of(piece, columns) if is_number(piece) else None
        aligned = column is not None and abs(piece.edge - columns[column].edge) < 1.5
        if column is not None and column not in cells and (aligned or _standing_free(pieces, index)):
            cells[column] = piece
        else:
            rest.append(piece)
    return rest, cells


def _column_of(piece: Piece, columns: Sequence[Column]) -> int | None:
    over = [
        (abs(piece.edge - column.edge), index)
        for index, column in enumerate(columns)
        if column.left - 2 <= piece.edge and piece.x0 <= column.edge + 2
    ]
    return min(over)[1] if over else None


@dataclass(slots=True)
class _Half:
    """A line's label words or its cells, with where they stand."""

    words: list[Piece]
    top: float
    bottom: float
    cells: dict[int, Piece]

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def find_rows(lines: Sequence[Line], columns: Sequence[Column], rules: Sequence[Rule] = ()) -> list[Row]:
    """Rows of data lines: labels over several lines are joined, numbers go to the label that they stand beside.

    Lines of one label are closer than rows are, or the first is full and the second begins in lower case. Numbers may
    stand at the label's first, middle or last line.
    """
    labels: list[_Half] = []
    numbers: list[_Half] = []
    for line in lines:
        words, cells = split_line(line, columns)
        words = [word for word in words if word.text.strip(" .…_|")]
        label = _label_words(words, columns)
        if words and not label:
            continue  # a heading within the table, with what reads as numbers in it
        words = label
        if words:
            labels.append(_Half(words, min(w.top for w in words), max(w.bottom for w in words), {}))
        if cells:
            pieces = list(cells.values())
            numbers.append(_Half([], min(p.top for p in pieces), max(p.bottom for p in pieces), cells))
    _attach_beside(labels, numbers)
    levels = _row_rules(labels, numbers, rules)
    limit = columns[0].left if columns else float("inf")
    context = _context(labels, numbers, limit)
    bands = [
        list(halves)
        for _, halves in groupby(labels, key=lambda half: sum(level < half.middle for level in levels))
    ]
    with_numbers = [number for number, band in enumerate(bands) if any(half.cells for half in band)]
    blocks: list[list[_Half]] = []
    for number, band in enumerate(bands):
        # Footnotes stand below the last numbers without a rule between them.
        inner = levels and with_numbers and number < with_numbers[-1]
        if inner and sum(bool(half.cells) for half in band) < 2:
            blocks += _close_lines(band)
        else:
            blocks += _join_labels(band, context)
    return _attach(blocks, numbers)


def _close_lines(band: Sequence[_Half]) -> list[list[_Half]]:
    """The lines between two rules, cut where a line is left empty."""
    blocks = [[band[0]]]
    for before, after in pairwise(band):
        if after.bottom - before.bottom > EMPTY_LINE * before.height:
            blocks.append([after])
        else:
            blocks[-1].append(after)
    return blocks


class Rule(NamedTuple):
    """A level line on the page, drawn or the edge of a shaded area."""

    x0: float
    x1: float
    y: float


def _row_rules(labels: Sequence[_Half], numbers: Sequence[_Half], rules: Sequence[Rule]) -> list[float]:
    """The heights of rules under labels where such rules part (nearly) all rows, else none."""
    if not labels or len(numbers) < RULED_ROWS:
        return []
    left, right = (
        min(half.x0 for half in labels),
        max(half.words[-1].x1 for half in labels if half.cells or len(labels) < 2),
    )
    middle = (left + min(right, left + 60)) / 2
    levels = sorted({rule.y for rule in rules if rule.x0 <= middle <= rule.x1})
    ordered = sorted(half.middle for half in numbers)
    parted = sum(any(a < y < b for y in levels) for a, b in pairwise(ordered))
    cut = sum(half.top + 2 < y < half.bottom - 2 for half in labels for y in levels)
    return levels if parted >= 0.95 * (len(ordered) - 1) and cut == 0 else []


def _label_words(words: Sequence[Piece], columns: Sequence[Column]) -> list[Piece]:
    """The words that open left of the columns, up to a wide gap; what comes after it heads a column."""
    if not words or not columns or words[0].x0 > columns[0].left - 2:
        return []
    for index, (before, after) in enumerate(pairwise(words), start=1):
        if after.x0 - before.x1 > 1.5 * (before.bottom - before.top) and after.x0 > columns[0].left - 2:
            return list(words[:index])
    return list(words)


def _attach_beside(labels: Sequence[_Half], numbers: Sequence[_Half]) -> None:
    """Give label lines the numbers on their own line; then lines without take numbers that overlap them alone."""
    free: list[_Half] = []
    for number in numbers:
        beside = [label for label in labels if abs(label.middle - number.middle) < 0.45 * label.height]
        for label in beside:
            label.cells = number.cells
        if not beside:
            free.append(number)
    for number in free:
        over = [label for label in labels if label.top < number.bottom - 1 and number.top + 1 < label.bottom]
        if len(over) == 1 and not over[0].cells:
            over[0].cells = number.cells


def _context(labels: Sequence[_Half], numbers: Sequence[_Half], limit: float) -> _Context:
    """What a table's labels say about how its rows are set."""
    pairs = list(pairwise(labels))
    full = sorted(after.bottom - before.bottom for before, after in pairs if before.cells and after.cells)
    # The closest full rows; a low quantile, for a stray pair must not set the rule.
    row_pitch = full[len(full) // 10] if full else 0.0
    right = max((label.words[-1].x1 for label in labels if label.words[-1].x1 < limit), default=0.0)
    starts = {round(after.x0) for before, after in pairs if before.cells and after.cells}
    context = _Context(row_pitch, right, starts, numbers, 0)
    read_on = [(b, a) for b, a in pairs if _joined(b, a, context) == "text"]
    return replace(context, numbers_first=sum(bool(b.cells) - bool(a.cells) for b, a in read_on))


def _join_labels(labels: Sequence[_Half], context: _Context) -> list[list[_Half]]:
    """The lines of each label."""
    blocks: list[list[_Half]] = [[label] for label in labels[:1]]
    for before, after in pairwise(labels):
        reason = _joined(before, after, context)
        against = (before.cells and context.numbers_first < 0) or (after.cells and context.numbers_first > 0)
        taken = after.cells and any(half.cells for half in blocks[-1])
        if reason and not taken and not (against and reason == "space"):
            blocks[-1].append(after)
        else:
            blocks.append([after])
    return blocks


@dataclass(frozen=True, slots=True)
class _Context:
    """Of a table: distance of its rows, where its label column ends at least, where rows begin, its numbers.

    ``numbers_first``: labels of two lines with the numbers at the first, less those with them at the last.
    """

    row_pitch: float
    right: float
    starts: set[int]
    numbers: Sequence[_Half]
    numbers_first: int


def _joined(before: _Half, after: _Half, table: _Context) -> Literal["middle", "text", "space", ""]:
    """Why two label lines are one label: numbers stand at its middle, the text reads on, or the lines are close."""
    height = before.height
    pitch = after.bottom - before.bottom
    if (before.cells and after.cells) or pitch > EMPTY_LINE * height:
        return ""
    if any(before.middle + 0.3 * height < n.middle < after.middle - 0.3 * height for n in table.numbers):
        return "middle"
    first, last = after.words[0], before.words[-1]
    text = before.text
    if last.text.endswith((":", "：")):
        return ""
    if table.row_pitch and pitch > table.row_pitch + 0.4:
        return ""
    dangling = (
        text.count("(") > text.count(")")
        or last.text.lower() in _DANGLING
        or text.endswith((",", "-", "—", "–", "/"))
    )
    if dangling or first.text[0].islower():
        return "text"
    indented = abs(after.x0 - before.x0) > 2 and round(after.x0) in table.starts
    # A label breaks only where its next word no longer fits.
    needed = height if _is_cjk(first.text[0]) else 0.25 * height + first.x1 - first.x0
    fits = last.x1 + needed < table.right + 0.5
    if fits or indented:
        return ""
    if table.row_pitch and pitch < table.row_pitch - 0.4:
        return "space"
    return "space" if first.text[0] in "(（&$" or first.text[0].isdigit() else ""


def _attach(blocks: Sequence[Sequence[_Half]], numbers: Sequence[_Half]) -> list[Row]:
    """Rows of label blocks: with the numbers on one of their lines, else those nearest to overlapping them."""
    rows: list[tuple[float, Row]] = []
    spans: list[tuple[float, float, Row]] = []
    for block in blocks:
        words = [word for half in block for word in half.words]
        box = (min(w.x0 for w in words), block[0].top, max(w.x1 for w in words), block[-1].bottom)
        row = Row(_label(block), box)
        rows.append((block[0].top, row))
        spans.append((block[0].top, block[-1].bottom, row))
    for number in numbers:
        near = [
            (abs((top + bottom) / 2 - number.middle), index)
            for index, (top, bottom, row) in enumerate(spans)
            if top - 1 <= number.bottom
            and number.top <= bottom + 1
            and not set(row.cells) & set(number.cells)
        ]
        if near:
            spans[min(near)[1]][2].cells.update(number.cells)
            continue
        pieces = list(number.cells.values())
        box = (pieces[0].x0, number.top, pieces[-1].x1, number.bottom)
        rows.append((number.top, Row("", box, dict(number.cells))))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def _label(block: Sequence[_Half]) -> str:
    text = ""
    for half in block:
        line = " ".join(word.text for word in half.words)
        glue = "" if not text or text.endswith("-") or _is_cjk(text[-1]) else " "
        text += glue + line
    return re.sub(r"\s*\.{3,}\s*$", "", text).strip()


def _is_cjk(character: str) -> bool:
    return "\u3000" <= character <= "\u9fff"
