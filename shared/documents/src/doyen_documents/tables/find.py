"""Tables of a page from its words and rules: where they stand, and which of two ways to read each fits better."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise
from statistics import median
from typing import Final

from doyen_documents.tables.aligned import aligned_drafts
from doyen_documents.tables.columns import OPENS, YEAR, Column, cut_rivers, find_columns, join_signs
from doyen_documents.tables.grid import to_table
from doyen_documents.tables.halves import split_page
from doyen_documents.tables.lattice import Lattice, find_lattices
from doyen_documents.tables.lines import (
    PROSE_LINES,
    Row,
    Segment,
    clean_words,
    is_marker,
    is_number,
    print_lines,
    prose_blocks,
    rows_of,
    segments_of,
)
from doyen_documents.tables.model import Table, Word
from doyen_documents.tables.rules import Rule, split_rules
from doyen_schemas.document import Box

MAX_WORDS: Final = 20_000
CAPTION: Final = re.compile(
    r"(table|tableau|tabelle|tabla|tabella|figure|fig\.|chart|exhibit|box|表|图)\s*[\dA-ZIVX]", re.I
)
NOTE: Final = re.compile(
    r"(source|sources|note|notes|quelle|nota|fuente|anmerkung|\*+|†|‡|¹|\d\)|\(\d\)|[a-z]\)|注)", re.I
)
# What the drawn cells may lose against the aligned reading and still be taken: rules are meant.
TRUST: Final = 0.08
LEAST: Final = 0.5


def tables_of_words(
    words: Sequence[Word], page: int, width: float, height: float, rules: Sequence[Rule] = ()
) -> list[Table]:
    """The tables of a page, from the top. Words that run left to right, rules and results in one frame."""
    on_page = (
        word
        for word in words
        if word.text.strip() and word.x1 > 0 and word.bottom > 0 and word.x0 < width and word.top < height
    )
    words = clean_words(list(islice(on_page, MAX_WORDS)))
    if len(words) < 4:
        return []
    level, upright = split_rules(rules)
    tables: list[Table] = []
    left = list(words)
    for lattice in _lattices([r for r in level if r.drawn], [r for r in upright if r.drawn]):
        inside, outside = _part(left, lattice)
        found = _ruled_table(inside, lattice, page, level, upright)
        if found is not None and not _head_alone(found):
            tables.append(found)
            left = outside
    aligned = _aligned_tables(left, page, level, upright)
    # Shading draws the cells of some tables, but of others only the head or every second row; so do some rules.
    for lattice in _lattices(level, upright):
        inside, _ = _part(left, lattice)
        rivals = [table for table in aligned if _meet(table.box, lattice)]
        words_of_rivals = sum(len(cell.text.split()) for table in rivals for cell in table.cells)
        if words_of_rivals > 1.1 * len(inside):
            continue
        found = _ruled_table(inside, lattice, page, level, upright)
        if found is not None and all(found.score >= table.score - TRUST for table in rivals):
            aligned = [table for table in aligned if table not in rivals]
            left = [word for word in left if word not in set(inside)]
            tables.append(found)
    tables += aligned
    return sorted(tables, key=lambda table: (table.box.top, table.box.x0))


def _head_alone(table: Table) -> bool:
    """Whether a table may be the head of one whose body is not drawn: few rows, no figures but years."""
    return table.rows <= 3 and not any(
        cell.column and is_number(cell.text.replace(" ", "")) and not YEAR.fullmatch(cell.text)
        for cell in table.cells
    )


def _lattices(level: Sequence[Rule], upright: Sequence[Rule]) -> list[Lattice]:
    """Lattices, the smaller first: a table may stand within the frame of its page."""
    return sorted(find_lattices(level, upright), key=lambda found: found.area)


def _meet(box: Box, lattice: Lattice) -> bool:
    return (
        box.x0 < lattice.x1 and lattice.x0 < box.x1 and box.top < lattice.bottom and lattice.top < box.bottom
    )


def _part(words: Sequence[Word], lattice: Lattice) -> tuple[list[Word], list[Word]]:
    inside: list[Word] = []
    outside: list[Word] = []
    for word in words:
        x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
        within = lattice.x0 <= x <= lattice.x1 and lattice.top <= y <= lattice.bottom
        (inside if within else outside).append(word)
    return inside, outside


def _ruled_table(
    words: Sequence[Word], lattice: Lattice, page: int, level: Sequence[Rule], upright: Sequence[Rule]
) -> Table | None:
    """The table of drawn cells, or of the words between its rules where these fit better."""
    if not words:
        return None
    drawn = to_table(lattice.drafts(words), page, "lines")
    rows = [Row(segments_of(line, upright)) for line in print_lines(words)]
    drafts, _ = aligned_drafts(rows, level)
    aligned = to_table(drafts, page, "words")
    if drawn is None or drawn.rows < 2 or drawn.columns < 2:
        drawn = None
    if aligned is None or aligned.rows < 2 or aligned.columns < 2:
        aligned = None
    if drawn is None or (aligned is not None and aligned.score > drawn.score + TRUST):
        # A frame around prose or a list is no table.
        if aligned is None or (drawn is None and not _tabular(rows)):
            return None
        return aligned
    return drawn


def _aligned_tables(
    words: Sequence[Word], page: int, level: Sequence[Rule], upright: Sequence[Rule]
) -> list[Table]:
    tables: list[Table] = []
    for part in split_page(words, level) if words else ():
        lines = [segments_of(line, upright) for line in print_lines(part)]
        blocks = _running_text(lines)
        prose = {id(segment) for block in blocks for segment in block}
        rest = [segment for line in lines for segment in line if id(segment) not in prose]
        for cluster in _clusters(rows_of(rest), blocks):
            drafts, columns = aligned_drafts(cluster, level)
            table = to_table(drafts, page, "words")
            if table is None or table.rows < 2 or len(columns) < 2 or table.columns < 2:
                continue
            if table.score >= LEAST:
                tables.append(table)
    return tables


def _running_text(lines: Sequence[Sequence[Segment]]) -> list[list[Segment]]:
    """Blocks of running text.

    A long label with figures beside it is none, nor are one or two lines beside other cells.
    """
    labels = {
        id(before)
        for line in lines
        for before, after in pairwise(line)
        if after.number or OPENS.fullmatch(after.text)
    }
    beside = {id(segment) for line in lines if len(line) > 1 for segment in line}
    return [
        block
        for block in prose_blocks([segment for line in lines for segment in line])
        if sum(id(segment) in labels for segment in block) <= 0.2 * len(block)
        and not (len(block) < PROSE_LINES and any(id(segment) in beside for segment in block))
    ]


def _clusters(rows: Sequence[Row], blocks: Sequence[Sequence[Segment]]) -> list[list[Row]]:
    """Runs of rows that make a table: several segments each, with single ones between."""
    joined = [join_signs(row) for row in rows]
    clusters: list[list[Row]] = []
    current: list[Row] = []
    for row in joined:
        if current and _breaks(current, row, blocks):
            clusters.append(current)
            current = []
        current.append(row)
    if current:
        clusters.append(current)
    parts = (part for cluster in clusters for part in _split(cluster))
    found = (_trim(cut_rivers(part)) for part in parts)
    return [cluster for cluster in found if _tabular(cluster)]


def _split(cluster: list[Row]) -> list[list[Row]]:
    """A cluster cut at a line that runs over its columns, where the columns below are others than above."""
    multi = [index for index, row in enumerate(cluster) if _multi(row)]
    for index, row in enumerate(cluster):
        if len(row.segments) > 1 or not multi or not multi[0] < index < multi[-1]:
            continue
        if sum(_figures(above) for above in cluster[:index]) < 2:
            continue  # the head stands above it
        above, below = find_columns(cluster[:index]), find_columns(cluster[index + 1 :])
        segment = row.segments[0]
        over = sum(column.covers(segment) > segment.size for column in above) > 1
        if over and len(segment.words) > 3 and not _alike(above, below):
            return [cluster[:index], *_split(cluster[index:])]
    return [cluster]


def _figures(row: Row) -> bool:
    """Whether a row has figures in its cells, other than years and the marks of a list."""
    return any(
        segment.number and not is_marker(segment.text) and not YEAR.fullmatch(segment.text)
        for segment in row.segments[1:]
    )


def _alike(above: Sequence[Column], below: Sequence[Column]) -> bool:
    return len(above) == len(below) and all(
        min(a.x1, b.x1) > max(a.x0, b.x0) for a, b in zip(above, below, strict=True)
    )


def _multi(row: Row) -> bool:
    """Whether a row has cells: several segments, other than a mark of a list and its text."""
    return len(row.segments) > 1 and not (
        len(row.segments) == 2 and is_marker(row.segments[0].text) and not row.segments[1].number
    )


def _breaks(current: Sequence[Row], row: Row, blocks: Sequence[Sequence[Segment]]) -> bool:
    last = current[-1]
    gap = row.top - last.bottom
    if len(row.segments) == 1 and CAPTION.match(row.segments[0].text):
        return True
    # Prose of the same width in between.
    for block in blocks:
        top, bottom = block[0].top, block[-1].bottom
        if last.middle < (top + bottom) / 2 < row.middle:
            x0, x1 = min(s.x0 for s in block), max(s.x1 for s in block)
            if min(x1, max(row.x1, last.x1)) - max(x0, min(row.x0, last.x0)) > 0:
                return True
    usual = median([b.top - a.bottom for a, b in pairwise(current)] or [row.size])
    return gap > max(2.4 * row.size, 2.5 * usual)


def _trim(cluster: list[Row]) -> list[Row]:
    """Without the single lines above and below: titles, notes, sources."""
    multi = [index for index, row in enumerate(cluster) if _multi(row)]
    if not multi:
        return []
    first, last = multi[0], multi[-1]
    body = cluster[first : last + 1]
    x0 = min(row.x0 for row in body)
    stub = max(row.segments[0].x1 for row in body if len(row.segments) > 1)
    while first > 0:
        above = cluster[first - 1]
        segment = above.segments[0]
        near = cluster[first].top - above.bottom < 1.0 * above.size
        head = (
            segment.x0 > min(stub, x0 + 0.6 * (max(r.x1 for r in body) - x0))
            and segment.x1 <= max(r.x1 for r in body) + above.size
        )
        if not (near and head and len(above.segments) == 1):
            break
        first -= 1
    while last + 1 < len(cluster):
        below = cluster[last + 1]
        segment = below.segments[0]
        near = below.top - cluster[last].bottom < 0.5 * below.size
        short = segment.x1 <= stub + below.size
        goes_on = segment.x0 > x0 + 0.3 * below.size or segment.text[0].islower()
        if not (near and short and goes_on and not NOTE.match(segment.text)):
            break
        last += 1
    return cluster[first : last + 1]


def _tabular(rows: Sequence[Row]) -> bool:
    """Whether rows look like a table: enough of them with cells, figures or at least three columns."""
    multi = [row for row in rows if _multi(row)]
    if len(multi) < 2:
        return False
    figures = sum(any(s.number and not is_marker(s.text) for s in row.segments[1:]) for row in multi)
    most = sorted(len(row.segments) for row in multi)[len(multi) // 2]
    if 2 * len(multi) < len(rows) and figures < 3:
        return False
    if len(multi) == 2:
        return figures >= 1 and most >= 3
    return figures >= 0.3 * len(multi) or (most >= 3 and len(multi) >= 3)
