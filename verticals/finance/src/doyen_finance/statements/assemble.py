"""A statement's parts to its model: rows with their sections, values with unit, scale, period, page and box."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from doyen_documents.layout import Word
from doyen_documents.pdf import to_page
from doyen_finance.statements.concepts import concept_of
from doyen_finance.statements.headings import column_labels, column_times
from doyen_finance.statements.layout import Piece
from doyen_finance.statements.layout import Row as LaidRow
from doyen_finance.statements.model import Column, Period, Row, Statement, Unit, Value
from doyen_finance.statements.numbers import parse_number
from doyen_finance.statements.periods import ColumnTime, months_before, phrases, safe_date
from doyen_finance.statements.segments import PageLines, Part, Segment
from doyen_finance.statements.titles import Kind
from doyen_finance.statements.units import Units, currencies_of, has_dollar, units_of
from doyen_schemas.document import Box

_PER_SHARE: Final = re.compile(
    r"\bper\b[\w ]{0,30}\b(?:share|unit|ads|stock)\d?\b|earnings per|每股|元[/／]股", re.IGNORECASE
)
_SHARES: Final = re.compile(
    r"weighted[- ]average|\baverage (?:\w+ ){0,3}shares|shares? (?:issued and )?outstanding|shares used|number of (?:\w+ ){0,3}shares"
    r"|\b(?:basic|diluted|anti-?dilutive) shares|股数|股份数",
    re.IGNORECASE,
)
_SHARE_COLUMN: Final = re.compile(r"\bshares\b(?!['’])", re.IGNORECASE)
_BEGINNING: Final = re.compile(
    r"\bbeginning\b|\bat (?:the )?start\b|期初|年初|上年年末|上期期末", re.IGNORECASE
)
_ENDING: Final = re.compile(
    r"\bend(?:ing)? of\b|\bending (?:balance|of)|\bending\b|,? end\b|期末|年末", re.IGNORECASE
)
_BALANCE: Final = re.compile(r"\bbalances?\b|^total .*(?:equity|deficit)|余额", re.IGNORECASE)
# Years of 52 or 53 weeks end up to a week off the month's end.
NEAR_DAYS: Final = 10
_BRACKETS: Final = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment with what its headings say, before periods that need the whole report are filled in."""

    segment: Segment
    times: list[list[ColumnTime]]
    units: Units | None
    units_text: str
    currencies: set[str]


def draft(segment: Segment) -> Draft:
    """What a segment's headings say about time, units and currency."""
    times: list[list[ColumnTime]] = []
    for part in segment.parts:
        found = column_times([*part.headings], part.columns)
        if times and len(found) == len(times[-1]) and all(time.year is None for time in found):
            found = times[-1]  # a part without headings of its own goes on under those before it
        times.append(found)
    texts = [segment.text, *segment.titles, *(part.units for part in segment.parts)]
    said = [text for text in texts if units_of(text)]
    currencies = set().union(*(currencies_of(text) for text in texts))
    return Draft(segment, times, units_of(said[0]) if said else None, said[0] if said else "", currencies)


def statement_of(drafted: Draft, fallback: Units | None, known: frozenset[date] = frozenset()) -> Statement:
    """The statement; ``fallback`` is the scale that the report's other statements state, ``known`` its days."""
    segment = drafted.segment
    flags: list[str] = []
    units = drafted.units or fallback or Units()
    if drafted.units is None:
        flags.append("scale_from_other_statements" if fallback else "scale_not_stated")
    pages = tuple(dict.fromkeys(part.page.number for part in segment.parts))
    if len(pages) > 1:
        flags.append("split_over_pages")
    if any(part.page.turn for part in segment.parts):
        flags.append("rotated_page")
    currency = _currency(drafted, flags)
    columns = _columns(drafted, known, flags)
    of_column = {c.index: code for c in columns if (code := _only(currencies_of(c.label)))}
    if len({*of_column.values(), *([currency] if currency else [])}) > 1:
        flags.append("two_currencies")
    by_component = segment.title.kind == "equity" and all(column.period is None for column in columns)
    laid = list(_laid_rows(drafted, known, flags))
    rows = _rows(laid, segment.title.kind)
    values = [
        value.model_copy(update={"currency": of_column[value.column]})
        if value.currency == currency and value.unit.startswith("currency") and value.column in of_column
        else value
        for value in _values(laid, rows, columns, units, currency, segment.title.kind, by_component)
    ]
    if any(value.period is None for value in values):
        flags.append("period_unknown")
    return Statement(
        kind=segment.title.kind, scope=segment.title.scope, title=segment.text,
        pages=pages, units=drafted.units_text[:300], currency=currency,
        columns=columns, rows=rows, values=tuple(values), flags=tuple(dict.fromkeys(flags)),
    )  # fmt: skip


def _only(codes: set[str]) -> str | None:
    return next(iter(codes)) if len(codes) == 1 else None


def _currency(drafted: Draft, flags: list[str]) -> str | None:
    named = drafted.currencies
    signs = Counter(
        number.currency
        for part in drafted.segment.parts
        for row in part.rows
        for cell in row.cells.values()
        if (number := parse_number(cell.text)) and number.currency
    )
    if not named and has_dollar(drafted.units_text):
        named = {"USD"}
    if len(named) > 1 or len(signs) > 1:
        flags.append("two_currencies")
    if named:
        return sorted(named, key=lambda code: (-signs[code], code))[0]
    if signs:
        return signs.most_common(1)[0][0]
    flags.append("currency_not_stated")
    return None


def _columns(drafted: Draft, known: frozenset[date], flags: list[str]) -> tuple[Column, ...]:
    """The columns of the first part; other parts are matched to them by order."""
    kind = drafted.segment.title.kind
    first = drafted.segment.parts[0]
    labels = column_labels(first.headings, first.columns)
    columns = [
        Column(index=i, label=label, period=_period(time, kind, known))
        for i, (label, time) in enumerate(zip(labels, drafted.times[0], strict=True))
    ]
    for part, times in zip(drafted.segment.parts[1:], drafted.times[1:], strict=True):
        if len(part.columns) > len(columns):
            flags.append("columns_differ_between_pages")
            labels = column_labels(part.headings, part.columns)
            columns = [
                Column(index=i, label=label, period=_period(time, kind, known))
                for i, (label, time) in enumerate(zip(labels, times, strict=True))
            ]
        elif len(part.columns) < len(columns):
            flags.append("columns_differ_between_pages")
    return tuple(columns)


def _period(time: ColumnTime, kind: Kind, known: frozenset[date]) -> Period | None:
    """A column's period. It begins a day after a day that the report names, where one is within ten of the count."""
    end = time.end
    if end is None:
        return None
    if kind == "balance":
        return Period(start=None, end=end)
    if time.months is None:
        return None
    start = months_before(end, time.months)
    if time.weeks is not None:
        start = end - timedelta(days=7 * time.weeks - 1)
    elif _by_weeks(known):
        start = end - timedelta(days=round(time.months / 3) * 91 - 1)
    days = [day + timedelta(days=1) for day in known if day < end]
    near = [day for day in days if abs((day - start).days) <= NEAR_DAYS]
    if near:
        start = min(near, key=lambda day: abs((day - start).days))
    return Period(start=start, end=end)


def _by_weeks(known: frozenset[date]) -> bool:
    """Whether the report's calendar counts weeks: its days are all the same day of the week."""
    return len(known) > 1 and len({day.weekday() for day in known}) == 1


@dataclass(frozen=True, slots=True)
class _Laid:
    row: LaidRow
    page: PageLines
    columns: dict[int, int]
    periods: dict[int, Period | None]


def _laid_rows(drafted: Draft, known: frozenset[date], flags: list[str]) -> Iterator[_Laid]:
    """Rows with the statement's column and the period of each column of their part."""
    segment = drafted.segment
    widest = max(segment.parts, key=lambda part: len(part.columns))
    for part, times in zip(segment.parts, drafted.times, strict=True):
        places = _places(part, widest)
        if len(set(places.values())) < len(places):
            flags.append("columns_not_matched")
            continue
        periods = {places[i]: _period(time, segment.title.kind, known) for i, time in enumerate(times)}
        for row in part.rows:
            yield _Laid(row, part.page, places, periods)


def _places(part: Part, widest: Part) -> dict[int, int]:
    if len(part.columns) == len(widest.columns):
        return {i: i for i in range(len(part.columns))}
    edges = [column.edge for column in widest.columns]
    return {
        i: min(range(len(edges)), key=lambda j: abs(edges[j] - c.edge)) for i, c in enumerate(part.columns)
    }


def _rows(laid: Sequence[_Laid], kind: Kind) -> tuple[Row, ...]:
    """Rows with the sections above them: a label without numbers opens a section for deeper rows, or until the next."""
    rows: list[Row] = []
    stack: list[tuple[float, str, bool]] = []  # indent, label, whether a deeper row came
    indents = sorted({round(item.row.box[0]) for item in laid if item.row.cells and item.row.label})
    levels = _levels(indents)
    for index, item in enumerate(laid):
        x0, label = item.row.box[0], item.row.label
        if label:
            while stack and (
                x0 < stack[-1][0] - 2 or (x0 < stack[-1][0] + 2 and (stack[-1][2] or not item.row.cells))
            ):
                stack.pop()
            if stack and x0 > stack[-1][0] + 2:
                stack[-1] = (stack[-1][0], stack[-1][1], True)
        path = tuple(text for _, text, _ in stack)
        rows.append(
            Row(
                index=index,
                label=label,
                path=path,
                level=_level(x0, levels),
                box=_box(item.row.box, item.page),
                concept=concept_of(kind, label, path),
            )
        )
        if label and not item.row.cells:
            stack.append((x0, label, False))
    return tuple(rows)


def _levels(indents: Sequence[int]) -> list[int]:
    levels: list[int] = []
    for indent in indents:
        if not levels or indent - levels[-1] > 3:
            levels.append(indent)
    return levels


def _level(x0: float, levels: Sequence[int]) -> int:
    return max(0, sum(x0 > start - 3 for start in levels) - 1)


def _box(box: tuple[float, float, float, float], page: PageLines) -> Box:
    x0, top, x1, bottom = to_page(Word("", *box), page.turn, page.width, page.height)
    return Box(page=page.number, x0=round(x0, 1), top=round(top, 1), x1=round(x1, 1), bottom=round(bottom, 1))


def _values(
    laid: Sequence[_Laid], rows: Sequence[Row], columns: Sequence[Column], units: Units, currency: str | None,
    kind: Kind, by_component: bool,
) -> Iterator[Value]:  # fmt: skip
    row_periods = _component_periods(rows, laid) if by_component else [None] * len(rows)
    share_columns = _share_columns(laid, columns) if by_component else set()
    for row, item, own_period in zip(rows, laid, row_periods, strict=True):
        texts = [cell.text for cell in item.row.cells.values()]
        unit = _unit(row, texts, kind, units)
        for place, cell in sorted(item.row.cells.items()):
            number = parse_number(cell.text)
            if number is None:
                continue
            column = item.columns[place]
            cell_unit: Unit = "percent" if number.is_percent else unit
            if column in share_columns and unit == "currency":
                cell_unit = "shares"
            scale = {"currency": units.amounts, "shares": units.shares}.get(cell_unit, 1)
            value = number.value * scale if cell_unit != "percent" else number.value / 100
            # A lone $ or ¥ says too little to overrule the headings.
            money = number.currency if number.currency not in (None, "USD", "CNY") else currency
            period = own_period if by_component else _row_period(row, item.periods.get(column), kind)
            yield Value(
                row=row.index, column=column, raw=cell.text, value=value, is_nil=number.is_nil, unit=cell_unit,
                scale=scale, currency=None if cell_unit in ("shares", "percent") else money, period=period,
                box=_piece_box(cell, item.page),
            )  # fmt: skip


def _piece_box(piece: Piece, page: PageLines) -> Box:
    return _box((piece.x0, piece.top, piece.x1, piece.bottom), page)


def _unit(row: Row, texts: Sequence[str], kind: Kind, units: Units) -> Unit:
    """The unit of a row's numbers by its label, else by the nearest section above it that says one."""
    numbers = [number for text in texts if (number := parse_number(text)) and not number.is_nil]
    decimals = any(_decimals(number.value) >= 2 for number in numbers)
    small = all(abs(number.value) < 1000 for number in numbers)
    for depth, label in enumerate((row.label, *reversed(row.path))):
        bare = _BRACKETS.sub("", label) if depth == 0 else label
        per_share = _PER_SHARE.search(bare) and not re.search(
            r"shares (?:used|outstanding)|weighted", bare, re.IGNORECASE
        )
        if per_share and small and (decimals or units.amounts == 1 or not numbers):
            return "currency_per_share"
        if kind in ("income", "equity") and _SHARES.search(bare) and not per_share:
            return "shares"
    return "currency"


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _share_columns(laid: Sequence[_Laid], columns: Sequence[Column]) -> set[int]:
    """Columns of an equity statement that count shares: headed so, and without a currency sign in any cell."""
    signed = {
        item.columns[place]
        for item in laid
        for place, cell in item.row.cells.items()
        if (number := parse_number(cell.text)) and number.currency
    }
    return {c.index for c in columns if _SHARE_COLUMN.search(c.label) and c.index not in signed}


def _row_period(row: Row, period: Period | None, kind: Kind) -> Period | None:
    """The column's period; an instant for rows of opening and closing balances."""
    if period is None or period.start is None or kind not in ("cash_flow", "equity"):
        return period
    if _BEGINNING.search(row.label):
        return Period(start=None, end=period.start - timedelta(days=1), exact=False)
    if day := _day_of_balance(row.label, period):
        return Period(start=None, end=day)
    if _ENDING.search(row.label) or (kind == "equity" and _BALANCE.search(row.label)):
        return Period(start=None, end=period.end, exact=period.exact)
    return period


def _day_of_balance(label: str, period: Period) -> date | None:
    """The day that a row's label names without a year ("Cash at January 1"), where it opens or closes the period."""
    named = [phrase for phrase in phrases(label) if phrase.month and phrase.day and not phrase.year]
    if len(named) != 1 or period.start is None or not re.search(r"\bat\b|balance", label, re.IGNORECASE):
        return None
    for day, instant in ((period.start, period.start - timedelta(days=1)), (period.end, period.end)):
        if abs((safe_date(day.year, named[0].month or 1, named[0].day or 1) - day).days) <= NEAR_DAYS:
            return instant
    return None


def _component_periods(rows: Sequence[Row], laid: Sequence[_Laid]) -> list[Period | None]:
    """Periods of an equity statement by component: balances are instants, rows between two span the time between."""
    instants: list[date | None] = []
    for row, item in zip(rows, laid, strict=True):
        instants.append(_balance_date(row.label) if item.row.cells else None)
    periods: list[Period | None] = []
    for index, instant in enumerate(instants):
        if instant is not None:
            periods.append(Period(start=None, end=instant))
            continue
        before = next((d for d in reversed(instants[:index]) if d), None)
        after = next((d for d in instants[index + 1 :] if d), None)
        if before and after and before < after:
            periods.append(Period(start=before + timedelta(days=1), end=after))
        else:
            periods.append(None)
    return periods


def _balance_date(label: str) -> date | None:
    for phrase in phrases(label):
        if phrase.month and phrase.day and phrase.year:
            rest = label[: phrase.start] + label[phrase.end :]
            if _BALANCE.search(label) or len(rest.split()) <= 4:
                day = safe_date(phrase.year, phrase.month, phrase.day)
                # A balance at a month's first day is that of the evening before.
                return day - timedelta(days=1) if day.day == 1 else day
    return None


def known_days(drafts: Sequence[Draft]) -> frozenset[date]:
    """The days on which columns and balances of a report end."""
    days = {time.end for d in drafts for times in d.times for time in times}
    days |= {
        _balance_date(row.label) for d in drafts for part in d.segment.parts for row in part.rows if row.cells
    }
    return frozenset(day for day in days if day)


def fill_years(drafts: Sequence[Draft], report_end: date | None) -> list[Draft]:
    """Drafts with days for columns that give a fiscal year alone: counted back from the report's own last day.

    A day that another statement prints within ten days of the counted one is taken instead.
    """
    known = known_days(drafts)
    end = report_end or max(known, default=None)
    if end is None:
        return list(drafts)
    years = [
        time.year for d in drafts for part in d.times for time in part if time.year and time.month is None
    ]
    newest = max(years, default=0)
    return [
        replace(d, times=[[_fill(time, newest, end, known) for time in part] for part in d.times])
        for d in drafts
    ]


def _fill(time: ColumnTime, newest: int, end: date, known: frozenset[date]) -> ColumnTime:
    if time.year is None or time.month is not None:
        return time
    guess = months_before(end, 12 * (newest - time.year)) - timedelta(days=1)
    near = [day for day in known if abs((day - guess).days) <= NEAR_DAYS]
    day = min(near, key=lambda d: abs((d - guess).days)) if near else guess
    return ColumnTime(time.months or 12, day.month, day.day, day.year, time.relative, time.weeks)
