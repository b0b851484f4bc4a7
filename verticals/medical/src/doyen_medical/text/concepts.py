"""HPO concepts in a note: names and their variants, with coordination, word order and modifiers between.

The method is a dictionary over word classes (after Groza et al., FastHPOCR, Bioinformatics 2024: tokens of one
morphological class are one), with windows that may leave out one conjunct of a coordination: ``short and broad
fingers`` holds ``short fingers`` and ``broad fingers``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from doyen_medical.knowledge.ontology import Ontology
from doyen_medical.text.abbreviations import definitions
from doyen_medical.text.dictionary import DERIVED, RELATED, Dictionary, Hit, build, reading_order
from doyen_medical.text.lexicon import word_list
from doyen_medical.text.tokens import Token, phrases, sentences, tokenise
from doyen_medical.text.windows import (
    GAP,
    LONGEST,
    Window,
    choices,
    is_modifier,
    kept_tokens,
    one_list,
)
from doyen_medical.text.words import stem, word_class

_ANATOMY: Final = frozenset({"small intestine", "small bowel", "large intestine", "large bowel"})
_ABSENT: Final = word_class("absent")
_SHARED: Final = frozenset({"multiple", "numerous", "recurrent", "frequent"})
"""Adjectives that count findings, each of a list."""
_AMBIGUOUS: Final = word_list("ambiguous_words")
_AMBIGUOUS_SHORT: Final = word_list("ambiguous_abbreviations")
_SHORT: Final = re.compile(r"\b[A-Z][A-Za-z0-9-]{1,9}\b")


class Mention(NamedTuple):
    """A finding named at ``text[start:end]``; ``nested`` inside the mention of a narrower finding."""

    start: int
    end: int
    id: str
    nested: bool = False


class _Found(NamedTuple):
    """Sorts the better first: fewer words left out, shallower depth, better rank, more words."""

    related: bool
    left_out: int
    depth: int
    rank: int
    negative_words: int
    term: int


_Spans = dict[tuple[int, int], list[_Found]]


@dataclass(frozen=True)
class Recogniser:
    """Finds the findings of one ontology."""

    ontology: Ontology
    dictionary: Dictionary

    @classmethod
    def of(cls, ontology: Ontology) -> Recogniser:
        """The recogniser of an ontology; about 3 s, once a process."""
        return cls(ontology, build(ontology))

    def recognise(self, text: str) -> list[Mention]:
        """Mentions in order of their start, the longer first."""
        mentions: list[Mention] = []
        for start, end in sentences(text):
            found: _Spans = {}
            tokens = tokenise(text, start, end)
            for span, candidate in self._exact(tokens):
                _keep(found, span, candidate)
            for phrase in phrases(tokens):
                for span, candidate in self._phrase(text, phrase):
                    _keep(found, span, candidate)
            mentions += self._resolve(found)
        mentions += self._abbreviated(text, mentions)
        return sorted(mentions, key=lambda mention: (mention.start, -mention.end, mention.id))

    def _abbreviated(self, text: str, mentions: list[Mention]) -> list[Mention]:
        """Short forms: those that the text defines by a finding named there, and HPO's own unambiguous ones."""
        defined = definitions(text)
        ends = {mention.end: mention.id for mention in reversed(mentions) if not mention.nested}
        meanings = {
            short: self.ontology.ids[term]
            for short, term in self.dictionary.abbreviations.items()
            if len(short) > 2 and short not in _AMBIGUOUS_SHORT
        }
        for definition in defined:
            meanings.pop(definition.short, None)
            if definition.end in ends:
                meanings[definition.short] = ends[definition.end]
        taken = {(mention.start, mention.end) for mention in mentions}
        return [
            Mention(match.start(), match.end(), meanings[match.group()])
            for match in _SHORT.finditer(text)
            if match.group() in meanings and match.span() not in taken
        ]

    def _exact(self, tokens: list[Token]) -> Iterator[tuple[tuple[int, int], _Found]]:
        """Names word by word, prepositions and verbs among them."""
        places = [
            place
            for place, token in enumerate(tokens)
            if token.role in ("word", "barrier") and token.normal[0].isalnum()
        ]
        for first in range(len(places)):
            for last in range(first, min(first + LONGEST, len(places))):
                words = tuple(tokens[place].normal for place in places[first : last + 1])
                hit = self.dictionary.words.get(words)
                if hit is None or (len(words) == 1 and words[0] in _AMBIGUOUS):
                    continue
                between = tokens[places[first] : places[last] + 1]
                if _punctuated(between) or self._denied(between):
                    continue
                related = hit[0] == RELATED
                yield (between[0].start, between[-1].end), _Found(related, 0, 0, hit[0], -len(words), hit[2])

    def _phrase(self, text: str, phrase: list[Token]) -> Iterator[tuple[tuple[int, int], _Found]]:
        places = [place for place, token in enumerate(phrase) if token.role == "word"]
        parted = [
            any(token.role == "coordinator" for token in phrase[place + 1 : following])
            for place, following in pairwise(places)
        ]
        known = [
            self.dictionary.knows(phrase[place].normal) or is_modifier(phrase[place].normal)
            for place in places
        ]
        for first in range(len(places)):
            for last in range(first, min(first + LONGEST, len(places))):
                if not (known[first] and known[last]):
                    continue
                window = Window.of(text, phrase, places[first], places[last])
                for kept, left_out in choices(first, last, parted):
                    if not all(known[place] for place in kept):
                        continue
                    tokens = kept_tokens(phrase, places, kept)
                    hit = self._look_up(tokens, contiguous=left_out == 0, parted=any(parted[first:last]))
                    if hit and self._denied(tokens):
                        continue
                    if hit is None or not window.allows(tokens, hit, left_out):
                        continue
                    if not left_out or (
                        one_list(phrase, places, kept, hit.depth)
                        and not self._complete_item(phrase, places, kept, parted)
                    ):
                        yield (
                            window.span,
                            _Found(hit.rank == RELATED, left_out, hit.depth, hit.rank, -len(kept), hit.term),
                        )

    def _look_up(self, tokens: Sequence[Token], contiguous: bool, parted: bool) -> Hit | None:
        words = [token.normal for token in tokens if token.role == "word"]
        if " ".join(words) in _ANATOMY:
            return None
        if len(words) == 1:
            return self._single(words[0])
        if contiguous and not parted:
            hit = self.dictionary.in_any_order(words)
            if hit is None and len(words) > 2:
                fewer = [words[0], *(word for word in words[1:-1] if not is_modifier(word)), words[-1]]
                hit = self.dictionary.in_any_order(fewer) if len(fewer) < len(words) else None
            return hit
        reading = reading_order(tokens)
        hit = self.dictionary.in_order(words, reading)
        if contiguous:
            own = tuple(map(stem, reading)) in self.dictionary.coordinated
            return hit if hit and hit.depth <= 1 and own else None
        return hit if hit and hit.rank < RELATED else None

    def _complete_item(
        self, phrase: list[Token], places: list[int], kept: list[int], parted: list[bool]
    ) -> bool:
        """Whether an item that shares nothing stands in the list: a finding between, or before the first coordinator.

        ``cornea, hyperopia, and astigmatism`` is no corneal astigmatism, ``spasticity and ataxia`` no spastic ataxia.
        """
        before, after = next((a, b) for a, b in pairwise(kept) if b > a + 1)
        if before == kept[0] and phrase[places[before]].normal in _SHARED:
            return False
        items = [list(range(kept[0], before + 1))] if parted[before] else []
        item: list[int] = []
        for place in range(before + 1, after):
            if parted[place - 1] and item:
                items.append(item)
                item = []
            item.append(place)
        if item and parted[after - 1]:
            items.append(item)
        return any(self._is_finding([phrase[places[place]].normal for place in item]) for item in items)

    def _is_finding(self, words: list[str]) -> bool:
        found = self.dictionary.words.get(tuple(words))
        if found is None and len(words) > 1:
            found = self.dictionary.stem_bags.get(tuple(sorted(map(stem, words))))
        return found is not None and found[0] < DERIVED

    def _denied(self, tokens: Sequence[Token]) -> bool:
        """``Absence of seizures`` denies seizures and is no absence seizure; absence of the thumb is a finding."""
        if all(token.role == "word" for token in tokens):
            return False
        others = [token for token in tokens if word_class(token.normal) != _ABSENT]
        words = [token.normal for token in others if token.role == "word"]
        if len(others) == len(tokens) or not words:
            return False
        hit = self.dictionary.in_any_order(words)
        return hit is not None and hit.rank < RELATED

    def _single(self, word: str) -> Hit | None:
        if word in _AMBIGUOUS:
            return None
        found = self.dictionary.words.get((word,))
        if found:
            return Hit(0, found[0], found[2])
        if len(stem(word)) < 6 or word.endswith(("ing", "ed", "er")):
            return None
        hit = self.dictionary.in_any_order([word])
        return hit if hit and hit.depth == 1 and hit.rank <= DERIVED else None

    def _resolve(self, found: _Spans) -> list[Mention]:
        """What stays of overlapping mentions of one sentence.

        A mention inside a longer one stays, as nested, where its finding is a superclass of the longer one's
        (``colitis`` in ``ulcerative colitis``). The conjuncts of one coordination overlap and all stay, but a
        coordination that repeats the finding of a mention inside it goes.
        """
        mentions = []
        for (start, end), here in found.items():
            inside = [
                other.term
                for (a, b), others in found.items()
                for other in others
                if start <= a and b <= end and (a, b) != (start, end)
            ]
            outer = [
                other.term
                for (a, b), others in found.items()
                for other in others
                if a <= start and end <= b and (a, b) != (start, end) and other.left_out != GAP
            ]
            for candidate in here:
                if candidate.left_out == GAP and candidate.term in inside:
                    continue
                ancestor_of_all = all(
                    candidate.term != term and candidate.term in self.ontology.ancestors(term)
                    for term in outer
                )
                if ancestor_of_all:
                    mentions.append(Mention(start, end, self.ontology.ids[candidate.term], bool(outer)))
        return mentions


def _punctuated(tokens: list[Token]) -> bool:
    return any(not token.normal[0].isalnum() and token.normal not in "/-" for token in tokens)


def _keep(found: _Spans, span: tuple[int, int], candidate: _Found) -> None:
    """The best candidate of a range; of a coordination each finding, as ``4th and 5th metacarpals`` has two."""
    here = found.setdefault(span, [])
    gaps = all(other.left_out == GAP for other in (*here, candidate))
    rivals = [other for other in here if not gaps or other.term == candidate.term]
    if all(candidate < other for other in rivals):
        found[span] = [other for other in here if other not in rivals] + [candidate]
