"""Tables told by alignment: columns of words above each other, rows by leading, rules and what continues what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from doyen_documents.tables.columns import YEAR, Column, find_columns, join_signs
from doyen_documents.tables.grid import Draft
from doyen_documents.tables.lines import Row, Segment, is_number
from doyen_documents.tables.rules import Rule

# A rule between two lines of print separates rows where it covers this share of the table's width.
FULL: Final = 0.6


@dataclass(slots=True)
class Placed:
    """A segment, and the first and last of the columns that it stands in."""

    segment: Segment
    first: int
    last: int

    @property
    def spans(self) -> bool:
        return self.last > self.first


def aligned_drafts(rows: Sequence[Row], level: Sequence[Rule]) -> tuple[list[Draft], list[Column]]:
    """The cells of rows that belong to one table, and its columns."""
    rows = pair_labels([join_signs(row) for row in rows])
    columns = find_columns(rows)
    if len(columns) < 2:
        return [], columns
    placed = [place(row, columns) for row in rows]
    head = head_rows(rows, placed, level, columns)
    drawn = [rule for rule in level if rule.drawn]
    for index in range(head):
        widen(placed[index], placed[index + 1] if index + 1 < head else [], columns, drawn)
    groups = group_rows(rows, placed, columns, level, head)
    drafts: list[Draft] = []
    for number, group in enumerate(groups):
        drafts += _group_drafts(number, [placed[index] for index in group], len(columns))
    return drafts, columns


def pair_labels(rows: Sequence[Row]) -> list[Row]:
    """Rows with labels that stand just above their figures put on one line with them."""
    paired: list[Row] = []
    for row in rows:
        last = paired[-1] if paired else None
        if (
            last is not None
            and len(last.segments) == 1
            and not last.segments[0].number
            and row.x0 > last.x1
            and all(segment.number for segment in row.segments)
            and not all(YEAR.fullmatch(segment.text) for segment in row.segments)
            and row.top - last.bottom < 0.3 * row.size
        ):
            paired[-1] = Row([*last.segments, *row.segments])
        else:
            paired.append(row)
    return paired


def place(row: Row, columns: Sequence[Column]) -> list[Placed]:
    """The columns of each segment of a row."""
    found: list[Placed] = []
    for segment in row.segments:
        for part in _cut(segment, columns):
            over = [i for i, column in enumerate(columns) if column.covers(part) > 0.25 * part.size]
            if len(over) > 1 and part.number:  # a figure stands in one column
                over = [max(over, key=lambda i: columns[i].covers(part))]
            if over:
                found.append(Placed(part, over[0], over[-1]))
            else:
                nearest = min(
                    range(len(columns)),
                    key=lambda i: max(columns[i].x0 - part.x1, part.x0 - columns[i].x1),
                )
                found.append(Placed(part, nearest, nearest))
    return sorted(found, key=lambda p: p.segment.x0)


def _cut(segment: Segment, columns: Sequence[Column]) -> list[Segment]:
    """A segment cut where a gap between its words falls between two columns and the parts are figures."""
    over = [column for column in columns if column.covers(segment) > 0.25 * segment.size]
    if len(over) < 2 or len(segment.words) < 2:
        return [segment]
    parts: list[Segment] = []
    current = [segment.words[0]]
    gaps = sorted(after.x0 - before.x1 for before, after in pairwise(segment.words))
    widest = gaps[-1] if len(gaps) < 2 or gaps[-1] > 1.4 * gaps[-2] else float("inf")
    for before, after in pairwise(segment.words):
        between = any(
            left.x1 - 0.3 * segment.size <= before.x1 + 0.5 * segment.size
            and before.x1 <= right.x0 + 0.1 * segment.size
            and after.x0 >= left.x1 - 0.1 * segment.size
            and after.x0 >= right.x0 - 0.6 * segment.size
            and before.x1 <= left.x1 + 0.6 * segment.size
            for left, right in pairwise(over)
        )
        figures = is_number(before.text) or is_number(after.text)
        gap = after.x0 - before.x1
        if between and (figures or gap > 0.55 * segment.size or widest <= gap > 0.4 * segment.size):
            parts.append(Segment(current))
            current = []
        current.append(after)
    parts.append(Segment(current))
    return parts


def widen(
    line: Sequence[Placed], next_line: Sequence[Placed], columns: Sequence[Column], level: Sequence[Rule]
) -> None:
    """Let heads that stand over several columns span them: told by the rule below, else by the middle."""
    whole = columns[-1].x1 - columns[0].x0
    taken = {i for p in line for i in range(p.first, p.last + 1)}
    for p in line:
        segment = p.segment
        own = set(range(p.first, p.last + 1))
        free = set(range(len(columns))) - (taken - own)
        below = [
            rule
            for rule in level
            if -0.2 * segment.size <= rule.top - segment.bottom <= 0.9 * segment.size
            and rule.x0 <= segment.x0 + 2
            and rule.x1 >= segment.x1 - 2
            and rule.x1 - rule.x0 < 0.8 * whole
        ]
        span: list[int] = []
        if below:
            rule = min(below, key=lambda r: r.x1 - r.x0)
            span = [
                i
                for i, column in enumerate(columns)
                if min(rule.x1, column.x1) - max(rule.x0, column.x0) > 0.5 * (column.x1 - column.x0)
            ]
        elif p.first > 0 and (next_line or len(line) == 1):
            span = _centred_span(p, next_line, columns, free)
        if len(span) > 1 and set(range(span[0], span[-1] + 1)) <= free:
            p.first, p.last = span[0], span[-1]
            taken |= set(range(p.first, p.last + 1))


def _centred_span(
    p: Placed, next_line: Sequence[Placed], columns: Sequence[Column], free: set[int]
) -> list[int]:
    """The free columns around a head's own whose heads below have their common middle above them."""
    segment = p.segment
    if any(abs(q.segment.center - segment.center) < 0.6 * segment.size for q in next_line):
        return []  # the next line of the same head
    own = columns[p.first]
    if not next_line and p.first == p.last and abs((own.x0 + own.x1) / 2 - segment.center) < segment.size:
        return []
    best: list[int] = []
    nearest = 0.8 * segment.size
    for first in range(p.first, 0, -1):
        if first not in free:
            break
        for last in range(p.last, len(columns)):
            if last not in free:
                break
            under = [q for q in next_line if first <= q.first and q.last <= last]
            if last == first or (next_line and {q.first for q in under} != set(range(first, last + 1))):
                continue
            away = abs((columns[first].x0 + columns[last].x1) / 2 - segment.center)
            if under:
                away = min(away, abs((under[0].segment.x0 + under[-1].segment.x1) / 2 - segment.center))
            if away < nearest:
                nearest, best = away, list(range(first, last + 1))
    return best


def head_rows(
    rows: Sequence[Row], placed: Sequence[Sequence[Placed]], level: Sequence[Rule], columns: Sequence[Column]
) -> int:
    """How many of the first lines are the head: above the first line with a label and a figure that is no year."""
    for index, line in enumerate(placed):
        figures = [p for p in line if p.first > 0 and p.segment.number and not YEAR.fullmatch(p.segment.text)]
        label = any(p.first == 0 and not p.spans for p in line)
        if figures and (label or len(figures) >= max(1, len(columns) // 2)):
            # Labels alone just above the figures head a section, not the columns.
            while (
                index > 1
                and all(p.first == p.last == 0 for p in placed[index - 1])
                and not placed[index - 1][0].segment.text[0].islower()
                and not _ruled(rows[index - 1], rows[index], level, columns)
            ):
                index -= 1
            return index
    for index, (above, below) in enumerate(pairwise(rows)):
        if index < 4 and _ruled(above, below, level, columns):
            return index + 1
    return 1


def _ruled(above: Row, below: Row, level: Sequence[Rule], columns: Sequence[Column]) -> bool:
    """Whether rules between two lines of print cover most of the table's width."""
    x0, x1 = columns[0].x0, columns[-1].x1
    covered = sum(
        max(0.0, min(rule.x1, x1) - max(rule.x0, x0))
        for rule in level
        if above.middle < rule.top < below.middle
    )
    return covered >= FULL * (x1 - x0)


def group_rows(
    rows: Sequence[Row],
    placed: Sequence[Sequence[Placed]],
    columns: Sequence[Column],
    level: Sequence[Rule],
    head: int,
) -> list[list[int]]:
    """Lines of print grouped into rows of the table."""
    ruled = [_ruled(above, below, level, columns) for above, below in pairwise(rows)]
    gaps = [below.top - above.bottom for above, below in pairwise(rows)]
    tight = _tight(gaps[head:], rows, placed, head)
    usual = 1.15 * median(gaps[head:] or [0.0]) + 0.1 * median(row.size for row in rows)
    bands = _banded(ruled[head:], placed[head:])
    groups: list[list[int]] = [[0]]
    for index in range(1, len(rows)):
        group = groups[-1]
        if ruled[index - 1]:
            joins = False
        elif index < head:
            joins = gaps[index - 1] < 0.9 * rows[index].size and _head_joins(placed, group, index)
        elif index == head:
            joins = False
        elif bands:
            joins = True
        elif tight is not None:
            joins = gaps[index - 1] <= tight and not _both_figures(placed, group, index)
        else:
            joins = gaps[index - 1] < min(0.7 * rows[index].size, usual) and _continues(
                placed, columns, group, index
            )
        if joins:
            group.append(index)
        else:
            groups.append([index])
    return groups


def _figure_columns(line: Sequence[Placed]) -> set[int]:
    return {p.first for p in line if p.segment.number and p.first > 0}


def _both_figures(placed: Sequence[Sequence[Placed]], group: Sequence[int], index: int) -> bool:
    above = set().union(*(_figure_columns(placed[i]) for i in group))
    return bool(above & _figure_columns(placed[index]))


def _banded(ruled: Sequence[bool], placed: Sequence[Sequence[Placed]]) -> bool:
    """Whether every row of the body stands between rules: no band has two figures in one column."""
    if sum(ruled) < 2:
        return False
    band: list[int] = [0]
    several = 0
    for index in range(1, len(placed)):
        if ruled[index - 1]:
            band = []
        elif band and _both_figures(placed, band, index):
            return False
        elif band:
            several += 1
        band.append(index)
    bands = sum(ruled) + 1
    return several > 0 and bands >= 3 and len(placed) <= 5 * bands


def _tight(
    gaps: Sequence[float], rows: Sequence[Row], placed: Sequence[Sequence[Placed]], head: int
) -> float | None:
    """The leading within rows where it is clearly smaller than between them, else None."""
    if len(gaps) < 4:
        return None
    ordered = sorted(gaps)
    size = median(row.size for row in rows)
    jumps = [(after - before, (after + before) / 2, k) for k, (before, after) in enumerate(pairwise(ordered))]
    jump, middle, position = max(jumps)
    if jump < 0.2 * size or ordered[0] > 0.6 * size or position + 1 > 0.75 * len(ordered) + 1:
        return None
    small = [k for k, gap in enumerate(gaps) if gap <= middle]
    if len(gaps) - len(small) < 2:
        return None
    clash = sum(_both_figures(placed, [head + k], head + k + 1) for k in small)
    return middle if clash <= 0.1 * len(small) else None


def _head_joins(placed: Sequence[Sequence[Placed]], group: Sequence[int], index: int) -> bool:
    """Whether a line of the head goes on in the cells above it: it lies under no cell that it divides."""
    for above in (p for i in group for p in placed[i]):
        under = [p for p in placed[index] if p.first >= above.first and p.last <= above.last]
        if above.spans and (len(under) > 1 or any(not p.spans for p in under)):
            return False
        if any(
            p.spans and p.first <= above.first and above.last <= p.last and not above.spans
            for p in placed[index]
        ):
            return False
    return True


def _continues(
    placed: Sequence[Sequence[Placed]],
    columns: Sequence[Column],
    group: Sequence[int],
    index: int,
) -> bool:
    """Whether a line goes on in the row above it, told by what stands in it."""
    line, before = placed[index], placed[group[-1]]
    if not line or not before or any(p.spans for p in line):
        return False
    filled = {p.first for p in line}
    above = {p.first for i in group for p in placed[i]}
    figures, above_figures = _figure_columns(line), set().union(*(_figure_columns(placed[i]) for i in group))
    stub, last_stub = (next((p for p in part if p.first == 0), None) for part in (line, before))
    if figures and above_figures:
        return False
    if stub is None:
        # No label of its own: the text of other columns runs on, or figures stand at the foot of a long label.
        return (not figures and filled <= above) or (bool(figures) and above == {0})
    text = stub.segment.text
    lower = text[:1].islower() or (text[:1] in "(&" and not is_number(stub.segment.words[0].text))
    if last_stub is None or last_stub.spans:
        return False
    full = last_stub.segment.x1 > columns[0].x1 - _first_word(stub.segment) - 0.3 * stub.segment.size
    runs_on = last_stub.segment.text.endswith(
        (",", "-", "–", "/", " and", " of", " the", " for", " or", " in", " to")
    )
    indented = stub.segment.x0 > last_stub.segment.x0 + 0.3 * stub.segment.size
    if last_stub.segment.text.endswith(":"):
        return False
    if len(filled) == 1 and filled == {0}:
        # A label alone below a full row: the rest of a wrapped label, or the heading of what follows.
        if not above_figures and len(above) == 1:
            return lower or runs_on
        return lower or runs_on or (full and indented)
    if lower and not figures and filled <= above:
        return True
    if above == {0} and not above_figures:
        return lower or runs_on
    return False


def _first_word(segment: Segment) -> float:
    return segment.words[0].x1 - segment.words[0].x0


def _group_drafts(number: int, lines: Sequence[Sequence[Placed]], columns: int) -> list[Draft]:
    """The cells of one row of the table; where a spanning cell meets others, columns that overlap become one."""
    placed = [p for line in lines for p in line]
    reach = list(range(columns))  # the first column of the cell that covers each column
    for p in placed:
        start = min(reach[p.first : p.last + 1])
        for i in range(p.first, p.last + 1):
            reach[i] = start
    for i in range(1, columns):
        if reach[i] != i:
            reach[i] = reach[reach[i]]
    cells: dict[int, Draft] = {}
    for p in placed:
        start = reach[p.first]
        cell = cells.setdefault(start, Draft(number, start))
        cell.column_span = max(cell.column_span, p.last - start + 1)
        cell.words.extend(p.segment.words)
    return list(cells.values())
