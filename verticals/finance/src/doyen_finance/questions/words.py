"""Words of questions and labels, and what a question asks for: its years, thresholds and cue words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from doyen_finance.questions.numbers import years_of

_WORD: Final = re.compile(r"[^\W_]+", re.UNICODE)
_STOP: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "to",
        "for",
        "from",
        "by",
        "with",
        "and",
        "or",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "what",
        "which",
        "who",
        "how",
        "when",
        "where",
        "why",
        "did",
        "do",
        "does",
        "has",
        "have",
        "had",
        "much",
        "many",
        "company",
        "companys",
        "group",
        "s",
        "their",
        "there",
        "than",
        "between",
        "compared",
        "respective",
        "respectively",
        "value",
        "values",
        "amount",
        "amounts",
        "each",
        "both",
        "all",
        "any",
        "during",
        "per",
        "if",
        "out",
        "up",
        "fiscal",
        "financial",
        "year",
        "years",
        "ended",
        "end",
        "fy",
        "table",
        "show",
        "shown",
        "shows",
        "provide",
        "information",
        "calculated",
        "recorded",
    ]
)
_ASKING: Final = frozenset(
    [
        "change",
        "percentage",
        "percent",
        "difference",
        "increase",
        "decrease",
        "average",
        "total",
        "sum",
        "ratio",
        "proportion",
        "largest",
        "highest",
        "lowest",
        "smallest",
        "higher",
        "lower",
        "larger",
        "smaller",
        "exceed",
        "exceeded",
        "more",
        "less",
        "greater",
        "most",
        "least",
        "million",
        "thousand",
        "billion",
    ]
)
_THRESHOLD: Final = re.compile(
    r"(?P<word>exceed(?:ed|s|ing)?|(?:more|greater|higher|larger|less|lower|smaller|fewer) than|above|below|over|under|at least)"
    r"\s+(?:[$€£¥]\s?)?(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)\s*(?P<percent>%)?",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(
    r"(?:20[0-4]\d|19[89]\d|FY?\s?\d\d)\s?(?:-|–|to|through)\s?(?:20[0-4]\d|FY?\s?\d\d)", re.IGNORECASE
)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without plural, past or -ing ending."""
    for ending, least in (("ing", 6), ("ies", 5), ("ed", 5), ("es", 5), ("s", 4), ("ment", 8)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word.rstrip("ey") if len(word) > 4 else word


@lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """All word stems of ``text``, lower case, in order."""
    return tuple(stem(word) for word in _WORD.findall(text.lower()))


@lru_cache(maxsize=65536)
def content(text: str) -> frozenset[str]:
    """The stems that carry meaning: no stop words, no years."""
    return frozenset(
        stem(w)
        for w in _WORD.findall(text.lower())
        if w not in _STOP and not re.fullmatch(r"(?:19|20)\d\d", w)
    )


ASKING: Final = frozenset(stem(word) for word in _ASKING)


@dataclass(frozen=True, slots=True)
class Question:
    """A question that was read: its years in order of mention, its threshold, and its content words."""

    text: str
    years: tuple[int, ...]
    span_of_years: bool
    above: Decimal | None
    below: Decimal | None
    content: frozenset[str]


@lru_cache(maxsize=4096)
def read_question(text: str) -> Question:
    """Read years ("2017 to 2019" names all three), thresholds ("exceed $10,000") and content words."""
    years = years_of(text)
    spanning = bool(_RANGE.search(text)) and len(years) == 2 and abs(years[0] - years[1]) <= 10
    above = below = None
    found = _THRESHOLD.search(text)
    if found:
        limit = Decimal(found["number"].replace(",", ""))
        if re.match(r"less|lower|smaller|fewer|below|under", found["word"], re.IGNORECASE):
            below = limit
        else:
            above = limit
        text = text[: found.start()] + text[found.end() :]
    return Question(text, tuple(years), spanning, above, below, content(text))
