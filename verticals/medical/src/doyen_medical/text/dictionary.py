"""Names of HPO's findings, looked up as sequences and as bags of words.

A name is kept under four keys: its words in order, its stems in reading order (``X of the Y`` reads ``Y X``), the
same without order, and its word classes without order. Where names of several terms share a key the better one
stays: labels before exact synonyms, those before derived forms, those before related synonyms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from doyen_medical.knowledge.ontology import PHENOTYPE, Ints, Ontology
from doyen_medical.text.lexicon import further_names, word_list
from doyen_medical.text.tokens import Token, tokenise
from doyen_medical.text.words import stem, word_class

LABEL, EXACT, DERIVED, RELATED = range(4)
"""Ranks of a name, the better the smaller."""

_QUALITIES: Final = word_list("qualities")

Key = tuple[str, ...]


class Hit(NamedTuple):
    """A term by its number, the rank of the name and the depth of the agreement (0 words, 1 stems, 2 classes)."""

    depth: int
    rank: int
    term: int


@dataclass(frozen=True)
class Dictionary:
    """Key to (rank, number of ancestors, term number), the smallest of its names; ``coordinated`` holds the stems of
    names with an *and* or *or* of their own."""

    words: dict[Key, tuple[int, int, int]] = field(default_factory=dict)
    stems: dict[Key, tuple[int, int, int]] = field(default_factory=dict)
    stem_bags: dict[Key, tuple[int, int, int]] = field(default_factory=dict)
    class_bags: dict[Key, tuple[int, int, int]] = field(default_factory=dict)
    class_order: dict[Key, tuple[int, int, int]] = field(default_factory=dict)
    coordinated: set[Key] = field(default_factory=set)
    vocabulary: set[str] = field(default_factory=set)
    abbreviations: dict[str, int] = field(default_factory=dict)

    def knows(self, word: str) -> bool:
        """Whether some name has a word of this class."""
        return word_class(word) in self.vocabulary

    def in_order(self, words: Sequence[str], reading: Sequence[str]) -> Hit | None:
        """A term by words as they stand, or by stems or classes: as they stand, in reading order, or a quality last.

        The last reads ``small … fifth metacarpal`` as ``fifth metacarpal hypoplasia``.
        """
        orders = [words, reading]
        if words[0] in _QUALITIES:
            orders.append((*words[1:], words[0]))
        hits = [
            _best(
                self.words.get(tuple(words)),
                self.stems.get(tuple(map(stem, order))),
                self.class_order.get(tuple(map(word_class, order))),
            )
            for order in orders
        ]
        return min((hit for hit in hits if hit), key=_worth, default=None)

    def in_any_order(self, words: Sequence[str]) -> Hit | None:
        """A term by words as they stand, else by stems, else by classes, in any order."""
        return _best(
            self.words.get(tuple(words)),
            self.stem_bags.get(tuple(sorted(map(stem, words)))),
            self.class_bags.get(tuple(sorted(map(word_class, words)))),
        )


def _best(*by_depth: tuple[int, int, int] | None) -> Hit | None:
    """A related synonym, however exact, gives way to any name proper."""
    hits = [Hit(depth, found[0], found[2]) for depth, found in enumerate(by_depth) if found]
    return min(hits, key=_worth, default=None)


def _worth(hit: Hit) -> tuple[bool, int]:
    return hit.rank == RELATED, hit.depth


def build(ontology: Ontology) -> Dictionary:
    """The names of every finding of the ontology, about 40,000."""
    dictionary = Dictionary()
    generality = np.diff(ontology.ancestor_starts)
    for term in range(len(ontology.ids)):
        if not ontology.phenotypic[term] or ontology.ids[term] == PHENOTYPE:
            continue
        _add(dictionary, ontology.labels[term], LABEL, term, generality)
        for synonym in ontology.synonyms[term]:
            rank = EXACT if synonym.scope == "EXACT" else RELATED
            if _is_abbreviation(synonym.text):
                if rank == EXACT:
                    dictionary.abbreviations.setdefault(synonym.text, term)
            else:
                _add(dictionary, synonym.text, rank, term, generality)
    for name, id in further_names().items():
        if id in ontology.number:
            _add(dictionary, name, EXACT, ontology.number[id], generality)
    return dictionary


def _is_abbreviation(name: str) -> bool:
    return re.fullmatch(r"[A-Z][A-Z0-9-]{1,6}s?", name) is not None


def _add(dictionary: Dictionary, name: str, rank: int, term: int, generality: Ints) -> None:
    for form, derived in _forms(name):
        tokens = [token for token in tokenise(form) if token.normal[0].isalnum()]
        words = [token.normal for token in tokens if token.role in ("word", "barrier")]
        if not words or (len(words) == 1 and len(words[0]) < 3):
            continue
        value = (max(rank, DERIVED) if derived else rank, int(generality[term]), term)
        reading = reading_order(tokens)
        if any(token.role == "coordinator" for token in tokenise(form)):
            dictionary.coordinated.add(tuple(map(stem, reading)))
        dictionary.vocabulary.update(map(word_class, words))
        for table, key in (
            (dictionary.words, tuple(words)),
            (dictionary.stems, tuple(map(stem, reading))),
            (dictionary.stem_bags, tuple(sorted(map(stem, words)))),
            (dictionary.class_bags, tuple(sorted(map(word_class, words)))),
            (dictionary.class_order, tuple(map(word_class, reading))),
        ):
            if key not in table or value < table[key]:
                table[key] = value


def reading_order(tokens: Sequence[Token]) -> list[str]:
    """The words with what follows an *of* or a verb *be* put first: ``hypoplasia of the left thumb``."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token.role in ("of", "be"):
            parts.append([])
        elif token.role in ("word", "barrier"):
            parts[-1].append(token.normal)
    return [word for part in reversed(parts) for word in part]


_ALTERNATIVES: Final = re.compile(r"^(.*?)\b([A-Za-z]+)/([A-Za-z]+)\b(.*)$")
_ABNORMAL: Final = re.compile(
    r"^(?:Abnormal|Abnormality of)(?: the)? (.+?) (?:morphology|physiology|function|structure)$",
    re.IGNORECASE,
)

_MEASURE: Final = re.compile(
    r" (?:circulating|serum|plasma|blood|urinary)(?= \S)| (?:concentration|level|levels|activity)$"
)


def _forms(name: str) -> Iterator[tuple[str, bool]]:
    """A name without its remarks in brackets, and the shorter forms that it implies."""
    name = re.sub(r"\s*\([^)]*\)", "", name)
    yield name, False
    if found := _ALTERNATIVES.match(name):
        yield found[1] + found[2] + found[4], True
        yield found[1] + found[3] + found[4], True
    if found := _ABNORMAL.match(name):
        yield f"abnormal {found[1]}", True
    if name.split(" ")[0] in ("Increased", "Elevated", "Decreased", "Reduced", "Abnormal", "High", "Low"):
        measured = _MEASURE.sub("", name)
        if measured != name and " " in measured:
            yield measured, True
    if name.startswith(("Localized ", "Generalized ")):
        yield name.split(" ", 1)[1], True
