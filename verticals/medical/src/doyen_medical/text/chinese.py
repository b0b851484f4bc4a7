"""HPO findings in Chinese text by their official Chinese labels (HPO translations), the longest label first."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from doyen_medical.knowledge.ontology import PHENOTYPE, Ontology
from doyen_medical.text.concepts import Mention

_SHORTEST = 2
_LEFT_OUT = frozenset("的 \t\u3000-‐·,，、()（）[]【】“”\"'/")


@dataclass(frozen=True)
class ChineseRecogniser:
    """Labels without particles and signs to ids."""

    ids: Mapping[str, str]
    longest: int

    @classmethod
    def of(cls, ontology: Ontology, labels: Mapping[str, str]) -> ChineseRecogniser:
        """The labels (id to Chinese label) of findings; of one label for several terms the most general term's."""
        found: dict[str, tuple[int, str]] = {}
        for id, label in labels.items():
            term = ontology.number.get(id)
            key = _folded(label)[0]
            if term is None or not ontology.phenotypic[term] or ontology.ids[term] == PHENOTYPE:
                continue
            if len(key) < _SHORTEST or key.isascii():
                continue
            value = (len(ontology.ancestors(term)), ontology.ids[term])
            found[key] = min(found.get(key, value), value)
        return cls({key: id for key, (_, id) in found.items()}, max(map(len, found), default=0))

    def recognise(self, text: str) -> list[Mention]:
        """Mentions that do not overlap, from left to right."""
        folded, places = _folded(text)
        mentions = []
        at = 0
        while at < len(folded):
            for length in range(min(self.longest, len(folded) - at), _SHORTEST - 1, -1):
                id = self.ids.get(folded[at : at + length])
                start, end = places[at], places[at + length - 1] + 1
                if id and not any(char in "，,、；;。" for char in text[start:end]):
                    mentions.append(Mention(start, end, id))
                    at += length
                    break
            else:
                at += 1
        return mentions


def has_chinese(text: str) -> bool:
    """Whether a text has CJK ideographs."""
    return any("\u4e00" <= char <= "\u9fff" for char in text)


def _folded(text: str) -> tuple[str, list[int]]:
    """The text in compatibility form and lower case without particles, spaces and signs, and each sign's offset."""
    chars, places = [], []
    for place, char in enumerate(text):
        for folded in unicodedata.normalize("NFKC", char).lower():
            if folded not in _LEFT_OUT:
                chars.append(folded)
                places.append(place)
    return "".join(chars), places
