"""Percentages and basis points to decimals of one hundred."""

from __future__ import annotations

import re
from typing import Final

from doyen_legal.normalise.numbers import DIGITS, WORDS, decimal, parse_digits, parse_number
from doyen_legal.normalise.scan import scan
from doyen_legal.normalise.types import Mention
from doyen_schemas import Value

_SIGN = r"(?:%|per[\s-]?cent(?:um)?\b|percentage\s+points?\b)"
_PERCENT: Final = re.compile(
    rf"(?<![\w$.,/])(?:"
    rf"(?P<part>one[\s-]half|one[\s-]quarter|one[\s-]third|one[\s-]tenth)\s+of\s+(?:one|1)\s*(?:\(1\)\s*)?{_SIGN}(?:\s?\(\s?(?P<part_figure>{DIGITS})\s?%\s?\))?"
    rf"|(?P<words>{WORDS})(?:\s?\(\s?{DIGITS}\s?\))?\s*{_SIGN}(?:\s?\(\s?(?P<figure>{DIGITS})\s?%?\s?\))?"
    rf"|(?P<words_first>{WORDS})\s?\(\s?(?P<inside>{DIGITS})\s?%\s?\)(?:\s*{_SIGN})?"
    rf"|(?P<digits>\.?{DIGITS})\s{{0,2}}{_SIGN}"
    rf"|(?P<points>{DIGITS}|{WORDS})\s+basis\s+points?\b)",
    re.I,
)
_TRIGGER: Final = re.compile(r"%|per[\s-]?cent|basis\s+point", re.I)


def find_percents(text: str) -> list[Mention]:
    """Percentages in ``text``, in order, as values of kind ``percent``: ``"5"`` is 5 %, 50 basis points ``"0.5"``."""
    found: list[Mention] = []
    for match in scan(_PERCENT, text, _TRIGGER, 100, 40):
        value = None
        if match["part"]:
            value = parse_number(match["part"])
        elif match["words"] or match["words_first"]:
            value = parse_number(match["words"] or match["words_first"])
            figure = match["figure"] or match["inside"]
            if value is None and figure:
                value = parse_number(figure)
        elif match["digits"]:
            digits = match["digits"]
            fraction = parse_digits("0" + digits if digits.startswith(".") else digits, three_decimals=True)
            if fraction is not None:
                found.append(Mention(*match.span(), Value(kind="percent", text=decimal(fraction))))
            continue
        else:
            points = parse_number(match["points"])
            if points is not None:
                found.append(Mention(*match.span(), Value(kind="percent", text=decimal(points.value / 100))))
            continue
        if value is not None:
            found.append(Mention(*match.span(), Value(kind="percent", text=decimal(value.value))))
    return found
