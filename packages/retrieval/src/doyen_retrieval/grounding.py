"""Citations checked by code: a sentence stays only where passages that were retrieved say what it says.

The check compares words, numbers and negations. It catches invented ids, figures, terms and dropped negations; it
does not judge whether words that all stand in a passage are joined there in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from doyen_retrieval.index import Passage
from doyen_retrieval.words import NEGATIONS, content_words, words

Reason = Literal["uncited", "not-retrieved", "unsupported"]
LEAST_SHARE: Final = 0.8
"""Share of a sentence's content words that its cited passages must hold."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of an answer, the ids that it cites and the terms that must stand in what it cites."""

    text: str
    cited: tuple[str, ...]
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grounded:
    """What stays, and what was dropped with the reason: ``uncited``, ``not-retrieved`` or ``unsupported``."""

    kept: tuple[Sentence, ...]
    dropped: tuple[tuple[Sentence, Reason], ...]

    @property
    def counts(self) -> dict[str, int]:
        """Sentences kept, and dropped by reason."""
        found = {"kept": len(self.kept), "uncited": 0, "not-retrieved": 0, "unsupported": 0}
        for _, reason in self.dropped:
            found[reason] += 1
        return found


def check(sentences: Iterable[Sentence], retrieved: Mapping[str, Passage]) -> Grounded:
    """Drop the sentences whose citation was not retrieved or does not say what they say."""
    kept: list[Sentence] = []
    dropped: list[tuple[Sentence, Reason]] = []
    for sentence in sentences:
        reason = _fault(sentence, retrieved)
        if reason is None:
            kept.append(sentence)
        else:
            dropped.append((sentence, reason))
    return Grounded(tuple(kept), tuple(dropped))


def supported(sentence: Sentence, passages: Sequence[Passage]) -> bool:
    """Whether the passages together hold the sentence's numbers, negations, terms and most of its content words."""
    held_list = [words(passage.text) for passage in passages]
    held = {word for found in held_list for word in found}
    own = set(content_words(sentence.text))
    strict = {word for word in own if word in NEGATIONS or any(letter.isdigit() for letter in word)}
    if not own or not strict <= held:
        return False
    if not all(any(_holds(found, words(term)) for found in held_list) for term in sentence.terms):
        return False
    return len(own & held) / len(own) >= LEAST_SHARE


def _fault(sentence: Sentence, retrieved: Mapping[str, Passage]) -> Reason | None:
    if not sentence.cited:
        return "uncited"
    if not all(id in retrieved for id in sentence.cited):
        return "not-retrieved"
    return None if supported(sentence, [retrieved[id] for id in sentence.cited]) else "unsupported"


def _holds(found: Sequence[str], term: Sequence[str]) -> bool:
    """Whether the term's words stand side by side."""
    if not term:
        return False
    return any(list(found[at : at + len(term)]) == list(term) for at in range(len(found) - len(term) + 1))
