"""Texts as the models read them: words with their place in the text, links and numbers made alike.

A link carries no sentiment, and a number's digits should not decide: links read ``http``, cashtags lose their sign,
and numbers keep their length only up to ``NUMBER_DIGITS`` digits.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final, NamedTuple

_WORD: Final = re.compile(
    r"(?P<url>https?://\S+|www\.\S+)|(?P<number>\d[\d,]*(?:\.\d+)?)|[^\W\d_]+(?:['’&][^\W\d_]+)*|[^\w\s]|_",
    re.UNICODE,
)
URL: Final = re.compile(r"https?://\S+|www\.\S+")
NUMBER: Final = "0"


class Word(NamedTuple):
    """A word as the models read it, and its characters ``[start, end)`` in the text."""

    text: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """The words of ``text`` in order: links as ``http``, every number as ``0``, the rest in lower case."""
    found = []
    for match in _WORD.finditer(text):
        form = match.group().lower()
        if match.group("url"):
            form = "http"
        elif match.group("number"):
            form = NUMBER
        found.append(Word(form, match.start(), match.end()))
    return found


def canonical(text: str) -> str:
    """What two texts share that say the same: NFKC words in lower case, without links, numbers as ``0``."""
    return " ".join(
        word.text
        for word in words(unicodedata.normalize("NFKC", text))
        if word.text != "http" and word.text.isalnum()
    )


def digest(text: str) -> int:
    """A number of the canonical text for splits by hash: the same text falls on the same side everywhere."""
    return int(hashlib.sha256(canonical(text).encode()).hexdigest(), 16)
