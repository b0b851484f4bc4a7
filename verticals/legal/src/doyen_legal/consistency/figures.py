"""Numbers written twice, in words and in figures, that differ: "thirty (60) days"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from doyen_legal.consistency.source import Source
from doyen_legal.consistency.types import Fault
from doyen_legal.normalise.numbers import DIGITS, ORDINALS, WORDS, decimal, parse_digits, parse_words
from doyen_legal.normalise.scan import scan

_MONEY = r"(?:US\$|U\.S\.\s?\$|USD|US|CDN\$|C\$|A\$|HK\$|RMB|EUR|GBP|[$€£¥])"
_MAGNITUDE: Final[dict[str, int]] = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
# What may stand between the words and their figure: "Dollars", "and 00/100 Dollars", "percent", "U.S. Dollars".
_NAME = r"(?:(?:and\s+)?(?:no|\d{1,2})\s?/\s?100(?:ths)?|united\s+states|u\.\s?s\.|us|canadian|hong\s+kong|australian|american|dollars?|euros?|pounds?(?:\s+sterling)?|yuan|renminbi|rmb|yen|per\s?cent|percentage\s+points?|only|calendar|business|consecutive|days?|months?|years?|weeks?|hours?)"
_WORDS_FIRST: Final = re.compile(
    rf"(?<![\w$])(?P<words>{WORDS})(?P<name>(?:\s+{_NAME}){{0,4}})\s*[(\[]\s*(?:{_MONEY}\s?)?(?P<figure>{DIGITS})(?P<tail>\s?(?:%|percent|{'|'.join(_MAGNITUDE)}|USD|dollars?|days?|months?|years?|weeks?|hours?|calendar\s+days?|business\s+days?))*\s*[)\]]",
    re.I,
)
_FIGURE_FIRST: Final = re.compile(
    rf"(?<![\w$.,/])(?:{_MONEY}\s?)?(?P<figure>\d{{1,3}}(?:,\d{{3}})*(?:\.\d+)?)\s?(?:%|percent|days?|months?|years?)?\s*[(\[]\s*(?P<words>{WORDS})(?P<name>(?:\s+{_NAME}){{0,4}})\s*[)\]]",
    re.I,
)
_ORDINAL: Final = re.compile(
    rf"(?<![\w-])(?P<words>{'|'.join(sorted(ORDINALS, key=len, reverse=True))})\s*\(\s*(?P<figure>\d{{1,2}})\s?(?:st|nd|rd|t\s?h)\s*\)",
    re.I,
)
_TRIGGER: Final = re.compile(rf"[(\[]\s*(?:{_MONEY}\s?)?\d", re.I)
_WORD_TRIGGER: Final = re.compile(
    r"[(\[]\s*(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thir|four|fif|six|seven|eigh|nine|twen|for)",
    re.I,
)


_LARGER: Final = re.compile(r"\s+(?:thousand|million|billion)\b", re.I)
# "ten      thousand (10,000)", "four and one-half million ($4,500,000)": the words start before.
_STARTS_BEFORE: Final = re.compile(rf"(?<![\w-])(?:{WORDS}|(?:one-)?half|quarters?)[\s-]+\Z", re.I)


def number_word_mismatches(source: Source) -> Iterator[Fault]:
    """Words and figures beside each other that name different numbers."""
    text = source.text
    for match in scan(_WORDS_FIRST, text, _TRIGGER, 140, 40):
        words, figure = parse_words(match["words"]), parse_digits(match["figure"], three_decimals=False)
        if words is None or figure is None:
            continue
        readings = {figure}
        for name, factor in _MAGNITUDE.items():
            if name in match[0][len(match["words"]) :].lower():
                readings.add(figure * factor)
        if cents := re.search(r"(\d{1,2})\s?/\s?100", match["name"] or ""):
            readings.add(figure - Fraction(int(cents[1]), 100))
        if (
            "." in match["figure"]
            and (three := parse_digits(match["figure"], three_decimals=True)) is not None
        ):
            readings.add(three)
        # "one hundred thousand (100) units" is a mistake, "Section One (1)" is not looked at here.
        if words < 1 and abs(words * 100 - figure) < 1:
            continue  # "two-thirds (66.67%)"
        if _LARGER.match(text, match.end()) and any(
            words * factor == figure for factor in _MAGNITUDE.values()
        ):
            continue  # "six (6,000,000) million shares"
        if _STARTS_BEFORE.search(text, max(0, match.start() - 60), match.start()) or re.search(
            r"\(\d[\d,]*\)\s*$|(?:tenths|hundredths|thousandths)\s+of\s+$",
            text[max(0, match.start() - 24) : match.start()],
        ):
            continue  # "three (3) million dollars ($3,000,000)": the words start before
        if words not in readings:
            yield _fault(match, words, figure)
    for match in scan(_FIGURE_FIRST, text, _WORD_TRIGGER, 24, 80):
        words, figure = parse_words(match["words"]), parse_digits(match["figure"])
        if words is not None and figure is not None and words != figure:
            yield _fault(match, words, figure)
    for match in _ORDINAL.finditer(text):
        if ORDINALS[match["words"].lower()] != int(match["figure"]):
            yield _fault(match, Fraction(ORDINALS[match["words"].lower()]), Fraction(int(match["figure"])))


def _fault(match: re.Match[str], words: Fraction, figure: Fraction) -> Fault:
    return Fault(
        "number-word-mismatch", match.start(), match.end(),
        f"The words say {decimal(words)}, the figures {decimal(figure)}.",
    )  # fmt: skip
