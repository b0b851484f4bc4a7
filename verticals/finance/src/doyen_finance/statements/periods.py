"""Dates and durations in headings and row labels, English and Chinese, and what period a column means."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

_MONTHS: Final = {name.lower(): n for n, name in enumerate(calendar.month_name) if name} | {
    name.lower(): n for n, name in enumerate(calendar.month_abbr) if name
} | {"sept": 9}  # fmt: skip
_MONTH: Final = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_COUNTS: Final = {
    "three": 3, "six": 6, "nine": 9, "twelve": 12, "thirteen": 13, "fourteen": 14, "sixteen": 16, "seventeen": 17,
    "twenty-four": 24, "twenty-six": 26, "twenty-seven": 27, "twenty-eight": 28, "thirty-six": 36, "thirty-nine": 39,
    "forty": 40, "fifty-two": 52, "fifty-three": 53,
}  # fmt: skip
_DURATION: Final = re.compile(
    rf"(?<![\w.,-])(?P<count>{'|'.join(sorted(_COUNTS, key=len, reverse=True))}|\d{{1,2}})[ -]+(?:months?|(?P<weeks>weeks?))(?P<and>(?: periods?)?(?: ended| ending)?)"
    r"|(?P<quarter>(?:fiscal )?quarters?(?: ended| ending)?)|(?P<year>(?:for the )?(?:fiscal )?years?[ -]*(?:ended|ending))"
    r"|(?P<zh>(?<!\d)1\s*[-—至~]\s*(?P<zh_month>3|6|9|12)\s*月|年度|半年度|第[一三]季度|前三季度)",
    re.IGNORECASE,
)
_DATE: Final = re.compile(
    rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s*,?\s*(?P<year>(?:19|20)\d\d)\b|\s*,|\b)"
    rf"|\b(?P<day2>\d{{1,2}})\s+{_MONTH.replace('month', 'month2')}(?:\s*,?\s*(?P<year2>(?:19|20)\d\d)\b)?"
    r"|(?P<year3>(?:19|20)\d\d)\s*年\s*(?P<month3>\d{1,2})\s*月\s*(?P<day3>\d{1,2})\s*日"
    rf"|(?:(?<=ended )|(?<=ending )|(?<=as of )|(?<=at )){_MONTH.replace('month', 'month5')}(?!\s*,?\s*\d{{1,2}}\b)(?!\w)"
    r"|\b(?P<year4>(?:19|20)\d\d)-(?P<month4>\d\d)-(?P<day4>\d\d)\b",
    re.IGNORECASE,
)
_YEAR: Final = re.compile(r"(?<![\d,.])(?:19|20)\d\d(?![\d,.]\d|\d|\s*年\s*\d+\s*月\s*\d+\s*日)")
_RELATIVE: Final = re.compile(
    r"期末余额|年末余额|期初余额|年初余额|上年年末余额|本期发生额|上期发生额|本期金额|上期金额|本年金额|上年金额|本年累计|上年累计"
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of a heading that says something about time, at ``[start, end)`` of its text.

    ``months`` for a duration, with ``weeks`` where it is counted in them; ``month`` and ``day``, with ``year`` where it stands there; ``year`` alone; ``relative``
    for the Chinese words of the current (0) and previous (-1) period.
    """

    start: int
    end: int
    months: int | None = None
    month: int | None = None
    day: int | None = None
    year: int | None = None
    relative: int | None = None
    weeks: int | None = None


def phrases(text: str) -> Iterator[Phrase]:
    """What a line says about time, left to right: durations, dates and years; words of a longer one not again."""
    taken: list[tuple[int, int]] = []

    def free(found: re.Match[str]) -> bool:
        return all(found.end() <= start or found.start() >= end for start, end in taken)

    results: list[Phrase] = []
    for found in _DATE.finditer(text):
        if phrase := _date_phrase(found):
            results.append(phrase)
            taken.append(found.span())
    for found in _DURATION.finditer(text):
        if free(found) and (length := _length(found)):
            results.append(Phrase(*found.span(), months=length[0], weeks=length[1]))
            taken.append(found.span())
    for found in _RELATIVE.finditer(text):
        previous = found[0].startswith(("期初", "年初", "上"))
        results.append(Phrase(*found.span(), relative=-1 if previous else 0))
        taken.append(found.span())
    for found in _YEAR.finditer(text):
        if free(found):
            results.append(Phrase(*found.span(), year=int(found[0])))
    yield from sorted(results, key=lambda phrase: phrase.start)


def _length(found: re.Match[str]) -> tuple[int, int | None] | None:
    """Months, and the weeks where these are counted; None for a length that no statement has."""
    if found["count"]:
        word = found["count"].lower()
        count = _COUNTS[word] if word in _COUNTS else int(word)
        if found["weeks"]:
            return (round(count * 12 / 52), count) if 4 <= count <= 53 else None
        return (count, None) if 1 <= count <= 12 else None
    if found["zh"]:
        if found["zh_month"]:
            return int(found["zh_month"]), None
        return {"年度": 12, "半年度": 6, "前三季度": 9}.get(found["zh"], 3), None
    return 3 if found["quarter"] else 12, None


def _date_phrase(found: re.Match[str]) -> Phrase | None:
    parts = found.groupdict()
    if parts["month"]:
        month, day, year = _MONTHS[parts["month"].lower()], int(parts["day"]), parts["year"]
    elif parts["month2"]:
        month, day, year = _MONTHS[parts["month2"].lower()], int(parts["day2"]), parts["year2"]
    elif parts["month5"]:  # "Year Ended December": the month's last day
        month, day, year = _MONTHS[parts["month5"].lower()], 31, None
    else:
        number = "3" if parts["month3"] else "4"
        month, day, year = int(parts[f"month{number}"]), int(parts[f"day{number}"]), parts[f"year{number}"]
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return None
    return Phrase(*found.span(), month=month, day=day, year=int(year) if year else None)


@dataclass(frozen=True, slots=True)
class ColumnTime:
    """What a column's headings say about its time so far."""

    months: int | None = None
    month: int | None = None
    day: int | None = None
    year: int | None = None
    relative: int | None = None
    weeks: int | None = None

    def with_phrase(self, phrase: Phrase) -> ColumnTime:
        """With what a phrase adds; what a lower heading line says replaces what an upper one said."""
        if phrase.months is not None:
            return replace(self, months=phrase.months, weeks=phrase.weeks)
        if phrase.month is not None:
            return replace(self, month=phrase.month, day=phrase.day, year=phrase.year or self.year)
        if phrase.relative is not None:
            return replace(self, relative=phrase.relative)
        return replace(self, year=phrase.year)

    def or_default(self, default: ColumnTime) -> ColumnTime:
        """With a default where nothing was said; a year without a day takes the default's day."""
        return ColumnTime(
            self.months if self.months is not None else default.months,
            self.month if self.month is not None else default.month,
            self.day if self.month is not None else default.day,
            self.year if self.year is not None else default.year,
            self.relative if self.relative is not None else default.relative,
            self.weeks if self.months is not None else default.weeks,
        )

    @property
    def end(self) -> date | None:
        """The last day, where year, month and day are known."""
        if self.year is None or self.month is None or self.day is None:
            return None
        return safe_date(self.year, self.month, self.day)


def safe_date(year: int, month: int, day: int) -> date:
    """The date, or the month's last day where it has fewer days."""
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def months_before(end: date, months: int) -> date:
    """The first day of a duration of whole months that ends on a day; a month's end stays a month's end."""
    index = end.year * 12 + end.month - 1 - months
    year, month = divmod(index, 12)
    last = calendar.monthrange(end.year, end.month)[1] == end.day
    day = calendar.monthrange(year, month + 1)[1] if last else end.day
    return safe_date(year, month + 1, day) + timedelta(days=1)
