"""Every way to answer that the table and the paragraphs allow, as programs; the ranker chooses among them.

Semantic parsing by enumeration (Pasupat and Liang 2015, arXiv:1508.00305), over the operations of TAT-QA
(Zhu et al. 2021, arXiv:2105.07624).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations, permutations
from typing import Final

from doyen_finance.questions.calculate import calculate, rounded
from doyen_finance.questions.model import Cell, Context, Program, Row, Span, Table
from doyen_finance.questions.numbers import is_year, numbers_within, read_number
from doyen_finance.questions.spans import Sentence, clauses
from doyen_finance.questions.words import Question, content

FAMILIES: Final = (
    "text", "cell", "cells", "entry", "label", "labels", "extreme", "filter", "count", "difference", "change",
    "ratio", "share", "product", "sum", "average", "average_change",
)  # fmt: skip
PAIRED: Final = ("difference", "change", "ratio", "share")
PAIRED_ROWS: Final = 6
LISTED_ROWS: Final = 8
MAX_COLUMNS: Final = 12
_TOTAL: Final = re.compile(r"^\s*(?:sub)?totals?\b", re.IGNORECASE)
_EXPONENT: Final = {"thousand": 3, "million": 6, "billion": 9}


def row_scores(question: Question, table: Table) -> dict[int, float]:
    """How well each row's label meets the question's words, by row index."""
    scores = {}
    for row in table.rows:
        own = content(row.label)
        wide = own | content(" ".join(row.path))
        shared = len(wide & question.content)
        scores[row.index] = len(own & question.content) / max(1, len(own)) + shared / max(
            1, len(question.content)
        )
    return scores


def programs(
    question: Question,
    context: Context,
    scores: Mapping[int, float],
    sentences: Sequence[Sentence],
    families: frozenset[str] = frozenset(FAMILIES),
) -> list[Program]:
    """All candidate programs of ``families``. ``scores`` are the rows', ``sentences`` those of spans, best first."""
    table = context.table
    ranked = sorted(table.rows, key=lambda row: -scores[row.index])
    found: list[Program] = []
    for makes, made in (
        ({"cell", "entry"}, lambda: _single(table)),
        ({"cells", "labels", "count"}, lambda: _lists(question, table, ranked)),
        ({"label"}, lambda: _labels(table)),
        ({"extreme"}, lambda: _extremes(table)),
        ({"filter", "count"}, lambda: _filters(question, table, ranked[:LISTED_ROWS])),
        (set(PAIRED) | {"product"}, lambda: _pairs(table, ranked, families)),
        ({"sum", "average", "average_change"}, lambda: _sums(question, table, ranked, families)),
        ({"text", "cells", *PAIRED, "sum", "average"}, lambda: _text(context, sentences, families)),
    ):
        if makes & families:
            found += [program for program in made() if program.operation in families]
    return found


def series(table: Table) -> list[list[int]]:
    """Columns that differ by their year alone, as lists in table order; without years, all columns that are alike."""
    groups: dict[frozenset[str], list[int]] = {}
    for column in table.columns[:MAX_COLUMNS]:
        if column.years:
            groups.setdefault(content(column.header), []).append(column.index)
    return list(groups.values())


def is_total(row: Row) -> bool:
    """Whether a row adds up others, by its label."""
    return bool(_TOTAL.match(row.label)) or not row.label


def _take(row: Row, columns: Sequence[int]) -> tuple[Cell, ...]:
    return tuple(row.cells[c] for c in columns if c in row.cells)


def _texts(cells: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(cell.text for cell in cells)


def _single(table: Table) -> Iterator[Program]:
    for row in table.rows:
        for cell in row.cells.values():
            yield Program("cell", (cell.text,), (cell,))
    for r, line in enumerate(table.grid):
        for c, text in enumerate(line[1:], start=1):
            if len(text) > 1 and read_number(text) is None:
                yield Program("entry", (text,), labels=((r, c),))


def _column_sets(question: Question, table: Table) -> list[list[int]]:
    """The sets of two or more columns that a question may mean in a row."""
    sets: list[list[int]] = []
    everything = [column.index for column in table.columns[:MAX_COLUMNS]]
    years = {column.index: column.years for column in table.columns}
    for group in series(table):
        sets.append(group)
        asked = wanted_years(question)
        sets.append([c for c in group if set(years[c]) & set(asked)])
    sets.append(everything)
    matched = [c.index for c in table.columns if content(c.header) & question.content]
    sets.append(matched)
    return _distinct(sets)


def wanted_years(question: Question) -> list[int]:
    """The years asked for; a range stands for all of its years."""
    if question.span_of_years:
        low, high = min(question.years), max(question.years)
        return list(range(low, high + 1))
    return list(question.years)


def _row_sets(question: Question, table: Table, ranked: Sequence[Row]) -> list[list[Row]]:
    """The sets of two or more rows that a question may mean in a column: by rank, by heading, by year, all."""
    sets = [list(ranked[:n]) for n in (2, 3, 4)]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in table.rows:
        groups.setdefault(row.path, []).append(row)
    for group in groups.values():
        sets.append(group)
        sets.append([row for row in group if not is_total(row)])
    asked = wanted_years(question)
    sets.append([row for row in table.rows if set(row.years) & set(asked)])
    sets.append([row for row in table.rows if not is_total(row)])
    sets.append(list(table.rows))
    named = [
        row
        for row in table.rows
        if row.label and content(row.label) and content(row.label) <= question.content
    ]
    sets.append(named)
    by_index = {row.index: row for row in table.rows}
    return [[by_index[i] for i in s] for s in _distinct([[row.index for row in s] for s in sets])]


def _distinct(sets: Sequence[Sequence[int]]) -> list[list[int]]:
    return [list(s) for s in dict.fromkeys(tuple(s) for s in sets) if len(s) >= 2]


def _lists(question: Question, table: Table, ranked: Sequence[Row]) -> Iterator[Program]:
    columns = _column_sets(question, table)
    for row in ranked[:LISTED_ROWS]:
        for chosen in columns:
            cells = _take(row, chosen)
            if len(cells) >= 2:
                yield Program("cells", _texts(cells), cells)
    for rows in _row_sets(question, table, ranked):
        for column in table.columns[:MAX_COLUMNS]:
            cells = tuple(row.cells[column.index] for row in rows if column.index in row.cells)
            if len(cells) >= 2:
                yield Program("cells", _texts(cells), cells)
    for rows in _row_sets(question, table, ranked):
        labels = [(row.index, 0) for row in rows if row.label]
        yield from _listed(table, labels)
    for group in [*series(table), [c.index for c in table.columns]]:
        yield from _listed(table, [_header_place(table, c) for c in group])
        named = [year for c in group if (year := _year_text(table, c))]
        if len(set(named)) >= 2:
            places = tuple(_header_place(table, c) for c in group)
            texts = tuple(dict.fromkeys(named))
            yield Program("labels", texts, labels=places, detail="year")
            yield Program(
                "count", (str(len(texts)),), labels=places, value=Decimal(len(texts)), detail="year"
            )
    headings = [(r, 0) for r, line in enumerate(table.grid) if line[0] and not any(line[1:])]
    yield from _listed(table, headings)


def _listed(table: Table, places: Sequence[tuple[int, int]]) -> Iterator[Program]:
    texts = tuple(dict.fromkeys(plain(text) for r, c in places if (text := table.grid[r][c])))
    if len(texts) >= 2:
        yield Program("labels", texts, labels=tuple(places))
        yield Program("count", (str(len(texts)),), labels=tuple(places), value=Decimal(len(texts)))


def _header_place(table: Table, column: int) -> tuple[int, int]:
    """The lowest header cell over a column."""
    first = min(row.index for row in table.rows)
    return next(((r, column) for r in range(first - 1, -1, -1) if table.grid[r][column]), (0, column))


def _year_text(table: Table, column: int) -> str:
    years = next(c.years for c in table.columns if c.index == column)
    return str(years[0]) if len(years) == 1 else ""


def plain(label: str) -> str:
    """A label without the digit of a footnote that stuck to its last letter."""
    return re.sub(r"(?<=[a-z)])\d$", "", label)


def _labels(table: Table) -> Iterator[Program]:
    for r, line in enumerate(table.grid):
        if line[0]:
            yield Program("label", (plain(line[0]),), labels=((r, 0),))


def _column_names(table: Table, column: int) -> list[tuple[str, str]]:
    """How a column may be named in an answer: its year, its lowest header."""
    r, c = _header_place(table, column)
    names = [(year, "year")] if (year := _year_text(table, column)) else []
    if table.grid[r][c] and table.grid[r][c] != year:
        names.append((table.grid[r][c], "header"))
    return names


def _extremes(table: Table) -> Iterator[Program]:
    groups = [*series(table), [c.index for c in table.columns[:MAX_COLUMNS]]]
    for row in table.rows:
        for group in _distinct(groups):
            cells = _take(row, group)
            if len(cells) < 2:
                continue
            for name, best in _best(cells):
                for text, kind in _column_names(table, best.column):
                    place = _header_place(table, best.column)
                    yield Program("extreme", (text,), (best,), (place,), basis=cells, detail=f"{name} {kind}")
    paths = list(dict.fromkeys(row.path for row in table.rows))
    for column in table.columns[:MAX_COLUMNS]:
        for path in [None, *paths] if len(paths) > 1 else [None]:
            rows = [row for row in table.rows if path in (None, row.path) and not is_total(row)]
            cells = tuple(row.cells[column.index] for row in rows if column.index in row.cells)
            if len(cells) < 2:
                continue
            for name, best in _best(cells):
                text = plain(table.grid[best.row][0])
                if text:
                    yield Program(
                        "extreme", (text,), (best,), ((best.row, 0),), basis=cells, detail=f"{name} row"
                    )


def _best(cells: Sequence[Cell]) -> list[tuple[str, Cell]]:
    in_order = sorted(cells, key=lambda cell: cell.number.value)
    return [("highest", in_order[-1]), ("lowest", in_order[0])] + (
        [("second", in_order[-2])] if len(cells) > 2 else []
    )


def _filters(question: Question, table: Table, rows: Sequence[Row]) -> Iterator[Program]:
    """Columns, or rows, whose value lies beyond the question's threshold, as labels and as their number."""
    limit = question.above if question.above is not None else question.below
    if limit is None:
        return
    beyond = (lambda value: value > limit) if question.above is not None else (lambda value: value < limit)
    lines: list[tuple[tuple[Cell, ...], bool]] = []
    for row in rows:
        for group in _distinct([*series(table), [c.index for c in table.columns[:MAX_COLUMNS]]]):
            lines.append((_take(row, group), True))
    for column in table.columns[:MAX_COLUMNS]:
        cells = tuple(
            row.cells[column.index] for row in table.rows if column.index in row.cells and not is_total(row)
        )
        lines.append((cells, False))
    for cells, across in lines:
        passed = tuple(cell for cell in cells if beyond(cell.number.value))
        if not cells:
            continue
        named = [
            _column_names(table, c.column)[:1] if across else [(plain(table.grid[c.row][0]), "row")]
            for c in passed
        ]
        texts = tuple(dict.fromkeys(name[0][0] for name in named if name))
        kind = named[0][0][1] if named and named[0] else "row"
        places = tuple(_header_place(table, c.column) if across else (c.row, 0) for c in passed)
        if texts:
            yield Program("filter", texts, passed, places, basis=cells, detail=kind)
        count = Decimal(len(texts))
        yield Program("count", (str(len(texts)),), passed, places, basis=cells, value=count, detail="filter")


def _computed(operation: str, cells: Sequence[Cell]) -> Iterator[Program]:
    exponents = {cell.number.exponent for cell in cells}
    if len(exponents) > 1:
        return
    value = calculate(operation, [cell.number.value for cell in cells])
    if value is not None:
        yield Program(operation, (rounded(value),), tuple(cells), value=value)


def _pairs(table: Table, ranked: Sequence[Row], families: frozenset[str]) -> Iterator[Program]:
    operations = [name for name in PAIRED if name in families]
    columns = [column.index for column in table.columns[:MAX_COLUMNS]]
    for row in ranked[:LISTED_ROWS]:
        for a, b in permutations(_take(row, columns), 2):
            for operation in operations:
                yield from _computed(operation, (a, b))
    for first, second in permutations(ranked[:PAIRED_ROWS], 2):
        for column in columns:
            if column in first.cells and column in second.cells:
                pair = (first.cells[column], second.cells[column])
                for operation in operations:
                    yield from _computed(operation, pair)
    if "product" not in families:
        return
    for first, second in combinations(ranked[:PAIRED_ROWS], 2):
        for column in columns:
            if column in first.cells and column in second.cells:
                yield from _computed("product", (first.cells[column], second.cells[column]))


def _sums(
    question: Question, table: Table, ranked: Sequence[Row], families: frozenset[str]
) -> Iterator[Program]:
    operations = [name for name in ("sum", "average") if name in families]
    sets = _column_sets(question, table)
    for group in series(table):
        sets += [list(pair) for pair in combinations(group, 2)]
        sets += [list(three) for three in combinations(group, 3)] if len(group) <= 5 else []
    for row in ranked[:LISTED_ROWS]:
        for chosen in _distinct(sets):
            cells = _take(row, chosen)
            if len(cells) >= 2:
                for operation in operations:
                    yield from _computed(operation, cells)
        for group in series(table):
            for three in zip(group, group[1:], group[2:], strict=False):
                cells = _take(row, three)
                if len(cells) == 3:
                    yield from _computed("average_change", cells)
                    yield from _computed("average_change", cells[::-1])
    for rows in [
        *_row_sets(question, table, ranked),
        *(list(p) for p in combinations(ranked[:PAIRED_ROWS], 2)),
    ]:
        for column in table.columns[:MAX_COLUMNS]:
            cells = tuple(row.cells[column.index] for row in rows if column.index in row.cells)
            if 2 <= len(cells) <= 12:
                for operation in operations:
                    yield from _computed(operation, cells)


def _text(context: Context, sentences: Sequence[Sentence], families: frozenset[str]) -> Iterator[Program]:
    figures: list[Cell] = []
    for order, sentence in enumerate(sentences):
        text = context.paragraphs[sentence.paragraph]
        if "text" in families:
            for start, end in clauses(text, sentence):
                yield Program("text", (text[start:end],), spans=(Span(sentence.paragraph, start, end),))
        if order >= 3:
            continue
        within: list[Cell] = []
        for start, end in numbers_within(text[sentence.start : sentence.end]):
            span = Span(sentence.paragraph, sentence.start + start, sentence.start + end)
            printed = text[span.start : span.end]
            number = read_number(printed)
            if number is not None and not is_year(printed):
                within.append(Cell(-1, -1, printed, number, span))
        for size in (2, 3):
            for begin in range(min(len(within), 8) - size + 1):
                cells = tuple(within[begin : begin + size])
                yield Program("cells", _texts(cells), cells)
        figures += within
    figures = figures[:8]
    for a, b in permutations(figures, 2):
        for operation in ("difference", "change", "share"):
            if operation in families:
                yield from _computed(operation, (a, b))
    for a, b in combinations(figures, 2):
        for operation in ("sum", "average"):
            if operation in families:
                yield from _computed(operation, (a, b))
