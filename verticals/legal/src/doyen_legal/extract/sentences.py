"""Sentence boundaries of contract text: offsets into the text as it stands, nothing rewritten."""

from __future__ import annotations

import re
from typing import Final

# A full stop after one of these does not end a sentence.
_ABBREVIATIONS: Final = frozenset(
    [
        "inc",
        "corp",
        "co",
        "ltd",
        "llc",
        "l.l.c",
        "l.p",
        "lp",
        "no",
        "nos",
        "sec",
        "secs",
        "art",
        "arts",
        "v",
        "vs",
        "mr",
        "mrs",
        "ms",
        "dr",
        "jr",
        "sr",
        "st",
        "ave",
        "e.g",
        "i.e",
        "etc",
        "al",
        "cf",
        "viz",
        "u.s",
        "u.s.a",
        "u.k",
        "n.v",
        "s.a",
        "b.v",
        "a.m",
        "p.m",
        "approx",
        "dept",
        "est",
        "fig",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "bros",
        "assn",
        "intl",
        "ext",
        "para",
        "pp",
        "p.o",
        "n.a",
        "d.b.a",
        "d/b/a",
        "f/k/a",
        "ca",
        "del",
        "cal",
        "tel",
        "fax",
        "attn",
        "exh",
        "sched",
    ]
)
# Longer than this, a "sentence" is a table or a list: it is cut at the next line or word boundary.
_LONGEST: Final = 1500

_BOUNDARY: Final = re.compile(
    r"""
    (?P<blank>[ \t]*\n[ \t\r]*(?:\n[ \t\r]*)+)          # blank line
    | (?P<stop>[.!?]["”')\]]*)(?=\s+["“'(\[]?[A-Z0-9])  # full stop before a capital, a number or a quote
    | (?P<colon>:)(?=[ \t]*\n)                          # colon that ends a line
    | (?P<semicolon>;(?:[ ]+(?:and|or|and/or))?)(?=\s+\(?[a-zA-Z0-9]{1,4}[).]\s)  # list item after a semicolon
    """,
    re.VERBOSE,
)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Ranges ``[start, end)`` of the sentences of ``text``, without surrounding white space, in order.

    Blank lines always end a sentence; a full stop does before a capital or a number unless it closes an
    abbreviation, an initial or a section number; a semicolon does before a list item.
    """
    sentences: list[tuple[int, int]] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.lastgroup == "stop" and not _ends_sentence(text, start, match.start()):
            continue
        end = match.start() if match.lastgroup == "blank" else match.end()
        _append(sentences, text, start, end)
        start = match.end()
    _append(sentences, text, start, len(text))
    return sentences


def _ends_sentence(text: str, start: int, stop: int) -> bool:
    if text[stop] != ".":
        return True
    word_start = stop
    while word_start > start and not text[word_start - 1].isspace():
        word_start -= 1
    word = text[word_start:stop].lstrip("(\"'“[").lower()
    if word in _ABBREVIATIONS:
        return False
    if len(word) == 1 and word.isalpha():  # an initial
        return False
    # "4.", "4.2." or "(a)." at the start of a sentence is its number, not its end.
    return not (word_start == start or not text[start:word_start].strip()) or not re.fullmatch(
        r"[\divxlc.()a-h]{1,8}", word
    )


def _append(sentences: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > _LONGEST:
        window = text[start : start + _LONGEST]
        cut = max(window.rfind("\n"), window.rfind(". "), window.rfind("; "))
        cut = cut if cut > _LONGEST // 3 else window.rfind(" ")
        cut = start + (cut + 1 if cut > 0 else _LONGEST)
        _append(sentences, text, start, cut)
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if end > start:
        sentences.append((start, end))
