"""Numbers as contracts write them: words, digits with either continent's separators, and both together.

Where words and figures disagree ("thirty (60) days") the words count, as UCC § 3-114 has it for instruments;
``Number.figure`` keeps the other reading for the consistency checker.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple

_SMALL_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS_WORDS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL: Final[dict[str, int]] = {word: value for value, word in enumerate(_SMALL_WORDS)}
_TENS: Final[dict[str, int]] = {word: 10 * value for value, word in enumerate(_TENS_WORDS, start=2)} | {
    "fourty": 40
}
_SCALES: Final[dict[str, int]] = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS: Final[dict[str, int]] = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "tenth": 10}
_ORDINALS: Final[tuple[str, ...]] = (
    "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fourth",
    "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth",
    "thirty-first",
)  # fmt: skip
ORDINALS: Final[dict[str, int]] = {word: day for day, word in enumerate(_ORDINALS) if day}

_CARDINAL = "|".join(sorted([*_SMALL, *_TENS, *_SCALES, "hundred"], key=len, reverse=True))
_PART = r"(?:half|third|quarter|fourth|fifth|tenth)s?"
# "one hundred and twenty-five", "two and one-half", "one-third"; a space, a hyphen or a dash between words.
WORDS: Final = (
    rf"(?:(?:{_CARDINAL})\b(?:(?:[\s\-‐-–,]{{1,3}}(?:and\s+)?|\s+and\s+)(?:{_CARDINAL})\b)*"
    rf"(?:\s+and\s+(?:a|one)[\s\-‐-–]+{_PART}\b|[\s\-‐-–]+{_PART}\b)?)"
)
VULGAR: Final[dict[str, Fraction]] = {
    "½": Fraction(1, 2), "¼": Fraction(1, 4), "¾": Fraction(3, 4), "⅓": Fraction(1, 3), "⅔": Fraction(2, 3),
}  # fmt: skip
_GROUPED = r"\d{1,3}(?:[,.'’]\d{3})+(?:,\s\d{3})*(?:[.,]\d{1,2})?(?!\d)"
# Digits: grouped by comma, point or apostrophe, with a decimal part, or with a fraction behind.
DIGITS: Final = rf"(?:{_GROUPED}|\d+(?:[.,]\d+)?(?:\s?[½¼¾⅓⅔]|\s\d/\d(?!\d))?|[½¼¾⅓⅔]|\d/\d(?![\d/]))"
NUMBER: Final = rf"(?:{WORDS}\s{{0,3}}\(\s?{DIGITS}\s?\)|{WORDS}|\(\s?{DIGITS}\s?\)|{DIGITS}(?:\s?\(\s?{DIGITS}\s?\))?|{DIGITS}(?:\s?\({WORDS}\))?)"
_BOTH = re.compile(rf"(?P<words>{WORDS})?[\s(]*(?P<figure>{DIGITS})?", re.I)


class Number(NamedTuple):
    """``value`` as read; ``figure`` the digits in brackets where words stood before them."""

    value: Fraction
    figure: Fraction | None = None


def parse_words(text: str) -> Fraction | None:
    """The number that ``text`` spells ("one hundred and twenty-five", "two and one-half"), or None.

    A sequence that no one would say ("twenty thirty", "five two") is None.
    """
    tokens = [token for token in re.split(r"[\s\-‐-–,]+", text.lower()) if token]
    total, group, last, part = 0, 0, 0, Fraction(0)
    # ``last`` is the value of the word before: it decides which word may follow.
    seen = False
    for index, token in enumerate(tokens):
        if token == "and":
            continue
        singular = token[:-1] if token.endswith("s") and token[:-1] in _PARTS else token
        if singular in _PARTS and index == len(tokens) - 1 and seen:
            numerator = Fraction(last if last else 1)
            part = numerator / _PARTS[singular]
            group -= last
            return Fraction(total + group) + part
        if token == "a":
            group, last, seen = group + 1, 1, True
        elif token in _SMALL:
            value = _SMALL[token]
            # "two and one-half": the last cardinal before a fraction starts anew.
            before_part = index + 1 < len(tokens) and tokens[index + 1].rstrip("s") in _PARTS
            if last and last not in (100, 1000) and not (last >= 20 and value < 10) and not before_part:
                return None
            group, last, seen = group + value, value, True
        elif token in _TENS:
            if last and last < 100:
                return None
            group, last, seen = group + _TENS[token], _TENS[token], True
        elif token == "hundred":
            if group >= 100:
                return None
            group, last, seen = (group or 1) * 100, 100, True
        elif token in _SCALES:
            total, group, last, seen = total + (group or 1) * _SCALES[token], 0, 1000, True
        else:
            return None
    return Fraction(total + group) if seen else None


def parse_digits(text: str, *, three_decimals: bool = False) -> Fraction | None:
    """The value of digits with separators: "1,234.56", "1.234,56", "120.000", "2 1/2", "1½"; None if none.

    A point before exactly three last digits groups thousands ("120.000") unless the number starts with 0 or
    ``three_decimals`` says that the context (a unit price, "2.125 million") wants decimals. A comma before
    exactly three digits always groups.
    """
    text = text.strip().strip("()").strip()
    if text in VULGAR:
        return VULGAR[text]
    if match := re.fullmatch(r"(?:(\d+)\s)?(\d)/(\d)", text):
        if match[3] == "0":
            return None
        return Fraction(int(match[1] or 0)) + Fraction(int(match[2]), int(match[3]))
    extra = Fraction(0)
    if text and text[-1] in VULGAR:
        extra, text = VULGAR[text[-1]], text[:-1].rstrip()
    text = re.sub(r"[\s'’]", "", text)
    if not re.fullmatch(r"\d[\d.,]*", text):
        return None
    separators = [char for char in text if char in ".,"]
    decimal = ""
    if len(set(separators)) == 2:
        decimal = separators[-1] if separators.count(separators[-1]) == 1 else ""
    elif len(separators) == 1:
        head, tail = re.split("[.,]", text)
        grouped = len(tail) == 3 and 1 <= len(head) <= 3 and head[0] != "0"
        if not grouped or (separators[0] == "." and three_decimals):
            decimal = separators[0]
    for separator in ".,":
        if separator != decimal:
            text = text.replace(separator, "")
    text = text.replace(",", ".").rstrip(".")
    return Fraction(text) + extra


def parse_number(text: str) -> Number | None:
    """A number in words, digits or both ("thirty (30)", "(6)", "two and one-half (2 1/2)"); None if none."""
    match = _BOTH.search(text.strip())
    if match is None:
        return None
    words = parse_words(match["words"]) if match["words"] else None
    figure = parse_digits(match["figure"]) if match["figure"] else None
    if words is None:
        return Number(figure) if figure is not None else None
    return Number(words, figure)


def decimal(value: Fraction, places: int = 6) -> str:
    """``value`` as a plain decimal without trailing zeros, rounded to ``places``."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = round(value * 10**places)
    whole, rest = divmod(abs(scaled), 10**places)
    fraction = f"{rest:0{places}d}".rstrip("0")
    sign = "-" if scaled < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
