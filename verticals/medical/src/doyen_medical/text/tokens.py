"""Sentences and tokens of a note, with offsets, and the phrases between its barriers.

A phrase is a run of words without a verb, a preposition other than *of* and *in*, a bracket or a full stop: the room
in which one finding is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from doyen_medical.text.lexicon import word_list
from doyen_medical.text.words import normal

Role = Literal["word", "coordinator", "of", "article", "be", "barrier"]

_TOKEN: Final = re.compile(
    r"[A-Za-z]{1,3}\d{1,2}[A-Za-z]?\b|[^\W\d_]+(?:['’]s)?|\d+(?:\.\d+)?(?:st|nd|rd|th)?|[^\w\s]|_"
)
_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?])\s+(?=[A-Z(\d])|(?<!\s)\s*\n\s*\n\s*|\n(?=\s*(?:[-*•]|\d+[.)]|[A-Z]))"
)
_ABBREVIATED: Final = re.compile(r"\b(?:e\.g|i\.e|vs|cf|al|Fig|Figs|Dr|Mr|Mrs|Ms|Prof|No|St|approx|[A-Z])\.$")
_LONGEST_SENTENCE: Final = 1500
_COORDINATORS: Final = frozenset({"and", "or", "/", ",", "&", "plus", "nor", "but"})
_OF: Final = frozenset({"of", "in", "between"})
_ARTICLES: Final = word_list("articles")
_BE: Final = word_list("be")
_BARRIERS: Final = word_list("barriers")
_PREFIXES: Final = word_list("prefixes")


class Token(NamedTuple):
    """``text[start:end]`` with its normal form."""

    start: int
    end: int
    normal: str
    role: Role


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence; a line that begins an item of a list begins a sentence.

    What goes on for more than 1,500 characters is cut at a space, so that no text takes quadratic time.
    """
    start = 0
    for match in _SENTENCE_END.finditer(text):
        same_line = "\n" not in match.group()
        if same_line and _ABBREVIATED.search(text, max(start, match.start() - 8), match.start()):
            continue
        yield from _cut(text, start, match.start())
        start = match.end()
    yield from _cut(text, start, len(text))


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > _LONGEST_SENTENCE:
        space = text.rfind(" ", start + 1, start + _LONGEST_SENTENCE)
        stop = space if space > start else start + _LONGEST_SENTENCE
        yield start, stop
        start = stop
    if text[start:end].strip():
        yield start, end


def tokenise(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """Tokens of ``text[start:end]``; a hyphenated prefix is one with its word (pre-auricular), other hyphens part."""
    end = len(text) if end is None else end
    found: list[Token] = []
    glued = False
    for match in _TOKEN.finditer(text, start, end):
        raw = match.group()
        if raw in "'’‘`´" or (raw == "s" and text[match.start() - 1 : match.start()] in ("'", "’", "`", "´")):
            continue
        if raw in "-‐‑–" and found and found[-1].end == match.start():
            before = text[found[-1].start : found[-1].end].lower()
            glued = before in _PREFIXES and match.end() < end and text[match.end()].isalpha()
            if text[match.end() : match.end() + 1].isalnum():
                continue
        if glued:
            first = found.pop()
            joined = text[first.start : first.end] + raw
            found.append(_token(first.start, match.end(), joined))
            glued = False
        else:
            token = _token(match.start(), match.end(), raw)
            if raw == "A" and found and found[-1].normal == "type":
                token = token._replace(role="word")
            found.append(token)
    return found


def _token(start: int, end: int, raw: str) -> Token:
    lower = raw.lower()
    if lower in _COORDINATORS:
        return Token(start, end, lower, "coordinator")
    if not raw[0].isalnum() or lower in _BARRIERS:
        return Token(start, end, lower, "barrier")
    role: Role = (
        "of" if lower in _OF else "article" if lower in _ARTICLES else "be" if lower in _BE else "word"
    )
    return Token(start, end, normal(raw) if role == "word" else lower, role)


def phrases(tokens: list[Token]) -> Iterator[list[Token]]:
    """The runs of tokens between barriers."""
    run: list[Token] = []
    for token in tokens:
        if token.role != "barrier":
            run.append(token)
        elif run:
            yield run
            run = []
    if run:
        yield run
