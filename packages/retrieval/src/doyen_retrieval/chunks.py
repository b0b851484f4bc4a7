"""Sentences of a text and chunks of whole sentences, each with its offsets in the text."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# A full stop ends no sentence behind an initial, a usual abbreviation or a number's list mark.
_END: Final = re.compile(r"[.!?][\"')\]]*(?=\s+[\"'(\[]?[A-Z0-9])|\n\s*\n|[。！？]")
_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(\[])(?:[A-Za-z]|e\.g|i\.e|al|approx|cf|Dr|etc|Fig|Figs|figs?|Mr|Mrs|Ms|[Nn]o|Prof|Ref|St|vs|vol)$"
)


class Chunk(NamedTuple):
    """``text[start:end]`` of the text it was cut from."""

    text: str
    start: int
    end: int


def sentences(text: str) -> list[Chunk]:
    """The sentences in order, without surrounding white space; none of an empty text."""
    found: list[Chunk] = []
    start = 0
    for match in _END.finditer(text):
        if text[match.start()] == "." and _ABBREVIATION.search(
            text[max(0, match.start() - 12) : match.start()]
        ):
            continue
        _add(found, text, start, match.end())
        start = match.end()
    _add(found, text, start, len(text))
    return found


def chunks(text: str, most: int = 900) -> list[Chunk]:
    """Runs of whole sentences of at most ``most`` characters; a longer sentence is cut at white space."""
    found: list[Chunk] = []
    start = end = -1
    for sentence in sentences(text):
        for piece in _pieces(text, sentence, most):
            if start >= 0 and piece.end - start > most:
                found.append(Chunk(text[start:end], start, end))
                start = -1
            start, end = (piece.start if start < 0 else start), piece.end
    if start >= 0:
        found.append(Chunk(text[start:end], start, end))
    return found


def _pieces(text: str, sentence: Chunk, most: int) -> list[Chunk]:
    found: list[Chunk] = []
    start = sentence.start
    while sentence.end - start > most:
        space = max(
            text.rfind(" ", start + 1, start + most + 1), text.rfind("\n", start + 1, start + most + 1)
        )
        cut = space if space > start else start + most
        _add(found, text, start, cut)
        start = cut
    _add(found, text, start, sentence.end)
    return found


def _add(found: list[Chunk], text: str, start: int, end: int) -> None:
    """Append the span, narrowed to what is no white space."""
    part = text[start:end]
    inner = part.strip()
    if inner:
        start += len(part) - len(part.lstrip())
        found.append(Chunk(inner, start, start + len(inner)))
