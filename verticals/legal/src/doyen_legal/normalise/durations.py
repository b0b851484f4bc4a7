"""Durations to ISO 8601 (``P30D``, ``P1Y6M``, ``PT24H``), and the calendar arithmetic on them."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from typing import Final

from dateutil.relativedelta import relativedelta

from doyen_legal.normalise.numbers import DIGITS, ORDINALS, WORDS, Number, decimal, parse_number
from doyen_legal.normalise.scan import scan
from doyen_legal.normalise.types import Mention
from doyen_schemas import Value

# Unit word -> ISO designator and how many of it.
_UNITS: Final[dict[str, tuple[str, int]]] = {
    "minute": ("TM", 1), "hour": ("TH", 1), "day": ("D", 1), "week": ("W", 1), "fortnight": ("W", 2),
    "month": ("M", 1), "quarter": ("M", 3), "year": ("Y", 1), "annum": ("Y", 1), "decade": ("Y", 10),
}  # fmt: skip
_ORDER: Final = ("Y", "M", "W", "D", "TH", "TM")
_GAP = r"[\s\-‐-–~]*"
_NUMBER = rf"(?:{WORDS}\s{{0,3}}\(\s?{DIGITS}\s?\)|{WORDS}|\(?\s?{DIGITS}\s?\)|{DIGITS}(?:\s?\({WORDS}\))?)"
_QUALIFIER = (
    r"(?:(?P<business>business|working|banking|trading)|full|calendar|consecutive|successive|additional"
    r"|further|contract|complete|entire|whole|continuous)"
)
_UNIT = r"(?P<unit>minute|hour|day|week|fortnight|month|quarter|year|decade)s?\b(?:['’])?"
_NUMBERED = re.compile(
    rf"(?<![\w$.,/%]){'(?P<number>' + _NUMBER + ')'}{_GAP}(?:{_QUALIFIER}{_GAP})*{_UNIT}(?:\s?\((?P<after>\d{{1,3}})\))?",
    re.I,
)
_REPEAT = r"(?:consecutive|successive|additional|further|renewal|extension|optional|separate|subsequent)"
# What stands before a period that repeats: "two (2) successive", "additional successive".
_BEFORE = re.compile(
    rf"(?:(?<![\w$.,/%])(?P<count>{_NUMBER}){_GAP})?(?P<repeat>(?:{_REPEAT}[\s,\-]+(?:(?:and|or)\s+)?)+)(?:(?:terms?|periods?|extensions?)\s+of\s+)?(?:up\s+to\s+)?$",
    re.I,
)
_COUNTED = re.compile(
    rf"(?<![\w$.,/%])(?P<count>{_NUMBER}){_GAP}(?:terms?|periods?|extensions?)\s+of\s+$|(?<![\w$.,/%])(?P<times>{_NUMBER})\s+$",
    re.I,
)
_PERIODS = re.compile(
    r"\s*(?:(?:renewal|extension|additional)\s+)?(?:periods?|terms?|extensions?|renewals?)\b", re.I
)
# Periods without a number.
_BARE: Final = (
    (re.compile(r"\byear[\s\-‐-–]+(?:to|by)[\s\-‐-–]+year\b|\bannual\s+(?:renewal\s+)?(?:periods?|terms?|renewals?)\b|\b(?:renew(?:s|ed)?|extend(?:s|ed)?)\s+(?:automatically\s+)?annually\b", re.I), "P1Y", "successive"),
    (re.compile(r"\bmonth[\s\-‐-–]+(?:to|by)[\s\-‐-–]+month\b|\bmonthly\s+(?:periods?|terms?|renewals?)\b", re.I), "P1M", "successive"),
    (re.compile(r"\b(?:successive|consecutive)\s+(?:annual|yearly)\b", re.I), "P1Y", "successive"),
    (re.compile(r"\b(?:half\s+a\s+year|six[\s\-]monthly\s+periods?)\b", re.I), "P6M", None),
    (re.compile(r"\b(?:(?:an|one|a)\s+(?:additional|further|full)|each\s+additional|period\s+of\s+(?:a|an))\s+year\b|\bone[\s\-]*year\b", re.I), "P1Y", None),
    (re.compile(r"\b(?:(?:an|one|a)\s+(?:additional|further|full)|period\s+of\s+(?:a|an))\s+month\b", re.I), "P1M", None),
)  # fmt: skip
_TRIGGER: Final = re.compile(r"minute|hour|day|week|fortnight|month|quarter|year|decade", re.I)
_BARE_TRIGGER: Final = re.compile(r"year|annual|month", re.I)
_ANNIVERSARY: Final = re.compile(
    rf"(?<![\w-])(?:(?P<ordinal>{'|'.join(sorted(ORDINALS, key=len, reverse=True))})(?:\s?\(\d{{1,2}}\s?(?:st|nd|rd|t\s?h)?\))?"
    rf"|(?P<day>\d{{1,2}})\s?(?:st|nd|rd|t\s?h))[\s\-]+(?:\(?annual\)?\s+)?(?:year\s+)?anniversary\b",
    re.I,
)
_JOIN = re.compile(r"\s*,?\s*and\s+|\s*,\s*", re.I)
_ISO = re.compile(
    r"P(?:(\d+(?:\.\d+)?)Y)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?)?"
)


def find_durations(text: str) -> list[Mention]:
    """Durations in ``text``, in order and without overlap, as ISO 8601 values of kind ``duration``.

    ``unit`` is ``"business days"`` for days that skip week-ends and holidays, ``"2 periods"`` for a period
    that is granted twice ("two (2) successive twelve-month periods" is ``P12M``), ``"successive"`` for one
    that repeats without a number, else None. Quarters become months, two and a half years ``P30M``, "the third
    anniversary" ``P3Y``.
    """
    found: list[Mention] = []
    previous: tuple[int, str] | None = (
        None  # end and designator of the mention before, while it can be joined
    )
    for match in scan(_NUMBERED, text, _TRIGGER, 110, 8):
        number = parse_number(match["number"])
        if number is None:
            continue
        designator, factor = _UNITS[match["unit"].lower()]
        amount = number.value * factor
        unit = "business days" if match["business"] and designator == "D" else None
        if previous is not None and unit is None and _joins(text, previous, match.start(), designator):
            start = found[-1].start
            joined = _join(found[-1].value.text, amount, designator)
            found[-1] = Mention(start, match.end(), found[-1].value.model_copy(update={"text": joined}))
            previous = (match.end(), designator)
            continue
        start, repeat = _repetition(text, match, found[-1].end if found else 0)
        found.append(
            Mention(
                start, match.end(), Value(kind="duration", text=_iso(amount, designator), unit=unit or repeat)
            )
        )
        previous = (match.end(), designator)
    for pattern, iso, repeat in _BARE:
        for match in scan(pattern, text, _BARE_TRIGGER, 40, 40):
            if not any(other.start < match.end() and match.start() < other.end for other in found):
                found.append(Mention(*match.span(), Value(kind="duration", text=iso, unit=repeat)))
    for match in _ANNIVERSARY.finditer(text):
        years = ORDINALS[match["ordinal"].lower()] if match["ordinal"] else int(match["day"])
        if not any(other.start < match.end() and match.start() < other.end for other in found):
            found.append(Mention(*match.span(), Value(kind="duration", text=f"P{years}Y")))
    return sorted(found, key=lambda mention: mention.start)


def parse_duration(iso: str) -> relativedelta:
    """``P1Y6M`` as a relativedelta; raises ValueError for what is no ISO 8601 duration."""
    match = _ISO.fullmatch(iso)
    if match is None or not any(match.groups()):
        raise ValueError(f"not an ISO 8601 duration: {iso!r}")
    years, months, weeks, days, hours, minutes = (
        Fraction(part) if part else Fraction(0) for part in match.groups()
    )
    months += 12 * years
    days += 7 * weeks + 30 * (months - int(months))
    hours += 24 * (days - int(days))
    return relativedelta(
        years=int(months) // 12, months=int(months) % 12, days=int(days), hours=int(hours),
        minutes=int(minutes + 60 * (hours - int(hours))),
    )  # fmt: skip


def add_duration(day: date, iso: str) -> date:
    """The day that lies ``iso`` after ``day``: 31 January and a month is the last day of February.

    Raises ValueError for what is no duration, or a day past the year 9999.
    """
    return day + parse_duration(iso)


def approximate_days(iso: str) -> float:
    """The length in days, with months of 365.25 / 12 days: for comparing, not for calendars."""
    delta = parse_duration(iso)
    months = 12 * delta.years + delta.months
    return months * 365.25 / 12 + delta.days + delta.hours / 24 + delta.minutes / 1440


def _iso(amount: Fraction, designator: str) -> str:
    if designator == "Y" and amount.denominator != 1:
        amount, designator = amount * 12, "M"
    text = decimal(amount)
    return f"PT{text}{designator[1]}" if designator[0] == "T" else f"P{text}{designator}"


def _joins(text: str, previous: tuple[int, str], start: int, designator: str) -> bool:
    """Whether "one (1) year" and "six (6) months" are one duration: the units fall and only "and" is between."""
    end, before = previous
    between = _JOIN.fullmatch(text, end, start)
    if between is None or designator[0] == "T" or before[0] == "T" or "W" in (designator, before):
        return False
    # Days after months are alternatives more often than a sum ("two months and 30 days" is rare too).
    comma_only = "and" not in between[0].lower()
    return not comma_only and _ORDER.index(before) < _ORDER.index(designator)


def _join(iso: str, amount: Fraction, designator: str) -> str:
    return f"{iso}{decimal(amount)}{designator}"


def _repetition(text: str, match: re.Match[str], floor: int) -> tuple[int, str | None]:
    """Where the mention starts with its repetition, and the ``unit`` that states it."""
    window = max(floor, match.start() - 80)
    before = text[window : match.start()]
    if found := _BEFORE.search(before):
        count = parse_number(found["count"]) if found["count"] else None
        if count is not None:
            return window + found.start(), _periods(count)
        if re.search(r"(?:success|consecut)ive", found["repeat"], re.I):
            return match.start(), "successive"
        return match.start(), None
    if (found := _COUNTED.search(before)) is not None:
        count = parse_number(found["count"] or found["times"])
        # "two five-year terms" counts; "Section 4 thirty days" does not.
        if count is not None and (found["count"] or _PERIODS.match(text, match.end())):
            return window + found.start(), _periods(count)
    if re.search(
        r"(?:success|consecut)ive\s*$",
        match["number"] and text[match.end("number") : match.start("unit")],
        re.I,
    ):
        return match.start(), "successive" if _PERIODS.match(text, match.end()) else None
    return match.start(), None


def _periods(count: Number) -> str:
    number = decimal(count.value)
    return f"{number} period" if count.value == 1 else f"{number} periods"


def spell_duration(iso: str) -> str:
    """ "P1Y6M" as "1 year 6 months"."""
    names = {"Y": "year", "M": "month", "W": "week", "D": "day", "H": "hour"}
    parts = re.findall(r"([\d.]+)([YMWDH])", iso)
    return " ".join(f"{number} {names[unit]}{'' if number == '1' else 's'}" for number, unit in parts)
