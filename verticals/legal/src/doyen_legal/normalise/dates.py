"""Dates to ISO 8601: ``2014-05-08``, or ``2014-05`` and ``2014`` where the text says no more."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from doyen_legal.normalise.numbers import ORDINALS
from doyen_legal.normalise.scan import windows
from doyen_legal.normalise.types import Mention
from doyen_schemas import Value

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_SHORT: Final[dict[str, int]] = {name[:3]: number for number, name in enumerate(_MONTHS, start=1)}
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary|uary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_BLANK = r"(?:_{2,}|\[[\s_•●*.x]*\]|\*{2,}|\.{4,})"
_DAY = r"(?P<day>\d{1,2})(?!\d)(?:\s?(?:s\s?t|n\s?d|r\s?d|t\s?h)\b)?"
_ORDINAL = "|".join(
    re.escape(word).replace("\\-", r"[\s\-‐-–]") for word in sorted(ORDINALS, key=len, reverse=True)
)
_OF = r"[\s,]*(?:of[\s,]*)?(?:the\s+year\s+)?(?:of[\s,]*)?"
_FORMS: Final = (
    # 8 May 2014, 8th day of May 2014, 22 Dec. 2017, first day of January, 2000, ___ day of May, 2014
    rf"(?<![\d.,/$])(?:{_DAY}|(?P<ordinal>{_ORDINAL})|{_BLANK}(?:st|nd|rd|th)?)"
    rf"(?:\s*\(\s?\d{{1,2}}(?:st|nd|rd|th)?\s?\))?[\s\-]*(?:day\b)?[\s,]*(?:of\b)?[\s\-]*{_MONTH}[\s,\-]*{_OF}{_YEAR}",
    # May 8, 2014, MAY 8TH 2014, July 11 , 2006, May __, 2014, May the 8th, 2014
    rf"\b{_MONTH}\s*(?:the\s+)?(?:{_DAY}|{_BLANK}|(?P<ordinal>{_ORDINAL})\b)[\s,.]*{_OF}{_YEAR}",
    # May 2014, May of 2014
    rf"\b{_MONTH}[\s,]*(?:of\s+)?{_YEAR}",
    # 2014-05-08, 2014/05/08
    r"(?<![\d/.\-])(?P<year>(?:19|20)\d\d)(?P<sep>[\-/.])(?P<iso_month>\d{1,2})(?P=sep)(?P<day>\d{1,2})(?![\d/\-])",
    # 5/8/14, 05-08-2014, 08.05.2014
    r"(?<![\d/.\-])(?P<first>\d{1,2})(?P<sep>[\-/.])(?P<second>\d{1,2})(?P=sep)(?P<year>(?:19|20)\d\d|\d\d)(?![\d/\-])(?!\.\d)",
    # calendar year 2014
    rf"\b(?:calendar|fiscal|contract)\s+year\s+{_YEAR}",
)
_PATTERNS: Final = tuple(re.compile(form, re.I) for form in _FORMS)
_TRIGGER: Final = re.compile(r"(?:19|20)\d\d|\d[/\-]\d{1,2}[/\-]\d\d")
_AFTER_REFERENCE = re.compile(r"(?:section|sec\.|clause|article|paragraph|para\.|§|version|v\.)\s*$", re.I)
# The two-digit years of POSIX strptime: 69-99 are of the twentieth century.
_PIVOT = 69


def find_dates(text: str, *, month_first: bool = True) -> list[Mention]:
    """Dates in ``text``, in order and without overlap, as ISO 8601 values of kind ``date``.

    ``5/8/14`` is read month first unless ``month_first`` is False; where the other order is a date too, the
    value's ``unit`` says which was taken (``"M/D"`` or ``"D/M"``). Dates with points (``8.5.2014``) are
    day first. Impossible dates (30 February) are left out.
    """
    found: list[Mention] = []
    taken: list[tuple[int, int]] = []
    for start, end in windows(text, _TRIGGER, 80, 8):
        taken.clear()
        for pattern in _PATTERNS:
            for match in pattern.finditer(text, start, end):
                if any(first < match.end() and match.start() < last for first, last in taken):
                    continue
                value = _value(match, month_first)
                if value is not None:
                    found.append(Mention(match.start(), match.end(), value))
                    taken.append(match.span())
    return sorted(found, key=lambda mention: mention.start)


def _value(match: re.Match[str], month_first: bool) -> Value | None:
    groups = match.groupdict()
    year = int(groups["year"])
    if groups.get("first"):
        return _numeric(match, year, month_first)
    if groups.get("iso_month"):
        return _checked(year, int(groups["iso_month"]), int(groups["day"]))
    month_text = groups.get("month")
    if month_text is None:
        return Value(kind="date", text=f"{year:04d}")
    # "may 2014" and "march 2014" in small letters are verbs more often than months.
    if groups.get("day") is None and groups.get("ordinal") is None and month_text in ("may", "march", "mar"):
        return None
    month = _SHORT[month_text[:3].lower()]
    if groups.get("ordinal"):
        return _checked(year, month, ORDINALS[re.sub(r"[\s\-‐-–]", "-", groups["ordinal"].lower())])
    if groups.get("day"):
        return _checked(year, month, int(groups["day"]))
    return Value(kind="date", text=f"{year:04d}-{month:02d}")


def _numeric(match: re.Match[str], year: int, month_first: bool) -> Value | None:
    groups = match.groupdict()
    first, second, separator = int(groups["first"]), int(groups["second"]), groups["sep"]
    if len(groups["year"]) == 2:
        if separator == ".":
            return None  # a section number
        year += 1900 if year >= _PIVOT else 2000
    if separator == ".":
        if _AFTER_REFERENCE.search(match.string, max(0, match.start() - 12), match.start()):
            return None
        month_first = False
    month, day = (first, second) if month_first else (second, first)
    order = "M/D" if month_first else "D/M"
    value = _checked(year, month, day)
    other = _checked(year, day, month)
    if value is None:
        return other
    if other is not None and first != second and separator != ".":
        return value.model_copy(update={"unit": order})
    return value


def _checked(year: int, month: int, day: int) -> Value | None:
    try:
        return Value(kind="date", text=date(year, month, day).isoformat())
    except ValueError:
        return None
