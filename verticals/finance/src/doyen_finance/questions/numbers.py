"""Numbers as reports print them, read into decimals. What cannot be read is no number, never a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_PLACEHOLDER: Final = re.compile(r"^[$€£¥\s]*(?:[-–—−_]{1,3}|nil)\s*%?$", re.IGNORECASE)
_NUMBER: Final = re.compile(
    r"""^(?P<open>\()?\s*(?P<minus>[-–−])?\s*(?:[A-Z]{0,3}[$€£¥])?\s*(?P<open2>\()?\s*(?P<minus2>[-–−])?\s*
    (?P<digits>\d{1,3}(?:,\s?\d{2,3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)\s*(?P<percent>%)?\s*
    (?P<close>\))?\s*(?P<percent2>%)?\s*(?P<unit>thousand|million|billion|m|bn|x|pp|pts?)?\s*
    (?:\((?:\d|[a-z])\)|[*†])*\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
_INSIDE: Final = re.compile(
    r"(?<![\w.,])(?:[A-Z]{0,3}[$€£¥]\s?)?\(?[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?\)?\s?%?(?![\w])"
    r"(?:\s(?:thousand|million|billion))?",
)
YEAR: Final = re.compile(r"(?<![\d.,])(?:19[89]\d|20[0-4]\d)(?![\d,]|\.\d)")
_SHORT_YEAR: Final = re.compile(r"\bF(?:Y|iscal )?\s?['’]?(\d\d)\b", re.IGNORECASE)
_SPLIT_YEAR: Final = re.compile(r"\b(20[0-4]\d|19[89]\d)\s?[/-]\s?(\d\d)\b(?!\d)")
_FACTOR: Final = {"thousand": 3, "million": 6, "m": 6, "billion": 9, "bn": 9}
MAX_DIGITS: Final = 40


@dataclass(frozen=True, slots=True)
class Number:
    """A printed number: ``value`` as it stands (5.3 for "5.3%"), whether it is a percentage, its own unit's exponent."""

    value: Decimal
    percent: bool = False
    exponent: int = 0


def read_number(text: str) -> Number | None:
    """The number that ``text`` is, as a whole; dashes that stand for nothing are zero; None when it is no number."""
    text = text.strip()
    if not text or len(text) > MAX_DIGITS:
        return None
    if _PLACEHOLDER.match(text):
        return Number(Decimal(0), "%" in text)
    found = _NUMBER.match(text)
    if found is None:
        return None
    value = Decimal(re.sub(r"[,\s]", "", found["digits"]))
    bracketed = (found["open"] or found["open2"]) and found["close"]
    if bracketed or found["minus"] or found["minus2"]:
        value = -value
    unit = (found["unit"] or "").lower()
    return Number(value, bool(found["percent"] or found["percent2"]), _FACTOR.get(unit, 0))


def numbers_within(text: str) -> list[tuple[int, int]]:
    """The ranges of the numbers inside running text, with currency sign, percent sign and a following scale word."""
    return [found.span() for found in _INSIDE.finditer(text)]


def years_of(text: str) -> list[int]:
    """The years that ``text`` names, in order: 2019, FY19, F19; "2018/19" and "2018/2019" are the later year."""
    found: list[tuple[int, int]] = []
    taken: set[int] = set()
    for match in re.finditer(r"\b(20[0-4]\d)\s?/\s?(20[0-4]\d)\b", text):
        found.append((match.start(), int(match[2])))
        taken.update(range(*match.span()))
    for match in _SPLIT_YEAR.finditer(text):
        later = int(match[1]) // 100 * 100 + int(match[2])
        if match.start() not in taken and later == int(match[1]) + 1:
            found.append((match.start(), later))
            taken.update(range(*match.span()))
    for match in YEAR.finditer(text):
        if match.start() not in taken:
            found.append((match.start(), int(match[0])))
            taken.update(range(*match.span()))
    for match in _SHORT_YEAR.finditer(text):
        if match.start() not in taken:
            found.append((match.start(), 2000 + int(match[1])))
    return list(dict.fromkeys(year for _, year in sorted(found)))


def is_year(text: str) -> bool:
    """Whether ``text`` is a bare year."""
    return YEAR.fullmatch(text.strip()) is not None
