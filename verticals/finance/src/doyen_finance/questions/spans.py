"""Sentences of the paragraphs, and the spans inside them that may answer a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from doyen_finance.questions.numbers import numbers_within
from doyen_finance.questions.words import Question, content

MAX_CLAUSES: Final = 90
_END: Final = re.compile(r"(?<=[.!?;])[\"”’)]*\s+(?=[A-Z(“\"‘•$€£\d])|\n+")
_ABBREVIATION: Final = re.compile(r"(?:\b(?:[A-Z]|Inc|Corp|Co|Ltd|No|vs|Mr|Ms|Dr|U\.S|e\.g|i\.e|approx)\.)$")
_START: Final = re.compile(
    r"(?:[;:(]|,(?!\d)|\b(?:is|are|was|were|be|been|of|to|by|due to|due primarily to|primarily due to|because|because of|for|on|in|at|as|that|from|"
    r"represents?|represented|includes?|including|comprises?|comprised|consists? of|means?|using|based on|shows?|"
    r"presents?|summarizes?|totaled|totaling|approximately|within|under|over|with|and|or|between|through|when|if|"
    r"attributable to|driven by|result of|related to|refers? to|reflects?|provides?|has|have|had|not|the|a|an|upon|until|after|before|into|against|between))\s+"
)
_STOP: Final = re.compile(
    r"(?=[;:()])|(?=,(?!\d{3}))|(?=\.?$)|(?=\.\s)|(?<!\s)\s+(?=(?:and|or|as|in|for|of|at|to|on|by|from|with|during|which|that|compared|due|because|if|"
    r"when|is|are|was|were|has|have|than|under|per|related|offset|partially|primarily|while|until|through|over|but|will|may)\b)"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence's range of characters in a paragraph, and how well it meets the question's words."""

    paragraph: int
    start: int
    end: int
    score: float = 0.0


def sentences_of(paragraphs: Sequence[str]) -> list[Sentence]:
    """The sentences of the paragraphs, in order."""
    found = []
    for number, text in enumerate(paragraphs):
        start = 0
        for match in _END.finditer(text):
            if _ABBREVIATION.search(text[max(0, match.start() - 12) : match.start()]):
                continue
            found.append(Sentence(number, start, match.start()))
            start = match.end()
        if text[start:].strip():
            found.append(Sentence(number, start, len(text.rstrip())))
    return [s for s in found if s.end > s.start]


def best_sentences(question: Question, paragraphs: Sequence[str], count: int) -> list[Sentence]:
    """The ``count`` sentences that share most of the question's words and years, best first."""
    scored = []
    for sentence in sentences_of(paragraphs):
        text = paragraphs[sentence.paragraph][sentence.start : sentence.end]
        own = content(text)
        shared = len(own & question.content) / max(1, len(question.content))
        years = sum(str(year) in text for year in question.years) / max(1, len(question.years))
        score = shared + 0.2 * years - 0.001 * len(own)
        scored.append(Sentence(sentence.paragraph, sentence.start, sentence.end, score))
    return sorted(scored, key=lambda s: -s.score)[:count]


def clauses(text: str, sentence: Sentence) -> list[tuple[int, int]]:
    """Ranges inside a sentence that a writer could quote: the whole, its numbers, and from a cue to a boundary."""
    line = text[sentence.start : sentence.end]
    whole = (0, len(line.rstrip(".")))
    starts = [0, *(match.end() for match in _START.finditer(line))]
    stops = sorted({match.start() for match in _STOP.finditer(line)} | {whole[1]})
    ranges = {whole, *numbers_within(line)}
    # A full stretch to the sentence's end comes first, then the short ones: all pairs only where few starts leave room.
    for ends in ([whole[1]], [stop for stop in stops if stop != whole[1]]):
        if len(ranges) >= MAX_CLAUSES:
            break
        near = [(start, stop) for start in starts for stop in ends if stop > start]
        for pair in sorted(near, key=lambda pair: pair[1] - pair[0]):
            if len(ranges) >= MAX_CLAUSES:
                break
            ranges.add(pair)
    return [(sentence.start + a, sentence.start + b) for a, b in sorted(ranges) if line[a:b].strip()]
