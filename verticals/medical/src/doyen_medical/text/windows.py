"""Windows of a phrase in which one finding may be named, whole or with one conjunct of a coordination left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from doyen_medical.text.dictionary import Hit
from doyen_medical.text.lexicon import word_list
from doyen_medical.text.tokens import Token

LONGEST: Final = 9
"""Words of the longest window."""
GAP: Final = 2
"""What it costs to leave a conjunct out."""
MODIFIERS: Final = word_list("modifiers")
_LAST: Final = frozenset({"and", "or", "/", "&", "plus"})
"""What stands before the last item of a list."""
_HEADS: Final = word_list("abnormal_nouns")
_QUALITY_NOUNS: Final = word_list("quality_nouns")
_ADJECTIVAL: Final = ("al", "ar", "ic", "ous", "ive", "ary")


class Window(NamedTuple):
    """A stretch of a phrase and what stands around it."""

    span: tuple[int, int]
    tokens: list[Token]
    after_word: bool
    before_word: bool
    before_of: bool
    hyphenated: bool
    proper_name: bool

    @classmethod
    def of(cls, text: str, phrase: list[Token], first: int, last: int) -> Window:
        """The words from ``phrase[first]`` to ``phrase[last]``."""
        start, end = phrase[first].start, phrase[last].end
        following = phrase[last + 1].role if last + 1 < len(phrase) else ""
        return cls(
            (start, end),
            phrase[first : last + 1],
            first > 0 and phrase[first - 1].role == "word",
            following == "word",
            following == "of",
            text[max(0, start - 1) : start] == "-" or text[end : end + 1] == "-",
            any(text[token.start].isupper() for token in phrase[first : last + 1])
            and _in_sentence(text, start),
        )

    def allows(self, found: Sequence[Token], hit: Hit, left_out: int) -> bool:
        """Whether the words found make a whole phrase here rather than parts of two."""
        roles = {token.role for token in self.tokens}
        if hit.depth and (self.hyphenated or (self.before_word and roles & {"of", "be"})):
            return False
        if hit.depth and self.before_word and len(found) > 1 and found[-1].normal.endswith(_ADJECTIVAL):
            return False
        if hit.depth == 2 and self.proper_name:
            return False
        if "be" in roles and (self.before_word or self.before_of):
            return False
        head_alone = found[0].normal in _HEADS and not (len(found) == 1 or found[1].role == "of")
        if hit.depth == 2 and head_alone:
            return False
        if "coordinator" not in roles:
            return True
        if left_out:
            noun_alone = found[0].normal in _QUALITY_NOUNS and found[1].role != "of"
            return not (self.before_word or self.before_of or noun_alone)
        listed = any(token.normal in _LAST for token in self.tokens)
        return listed or not (self.after_word or self.before_word)


def is_modifier(word: str) -> bool:
    return word in MODIFIERS or word.endswith("ly")


def _in_sentence(text: str, start: int) -> bool:
    """Whether the words before, in the same sentence, are written small: then a capital marks a name."""
    before = text[max(0, start - 40) : start].rsplit("\n", 1)[-1].rsplit(". ", 1)[-1].split()
    return bool(before) and before[-1][0].islower()


def choices(first: int, last: int, parted: list[bool]) -> Iterator[tuple[list[int], int]]:
    """The words ``first`` to ``last``, whole and with each gap that leaves conjuncts out.

    A gap begins or ends at a coordinator, and no coordinator stands between the words that stay.
    """
    whole = list(range(first, last + 1))
    yield whole, 0
    if last - first < 2 or not any(parted[first:last]):
        return
    for begin in range(first + 1, last):
        if any(parted[first : begin - 1]):
            break
        for end in range(begin + 1, last + 1):
            if (parted[begin - 1] or parted[end - 1]) and not any(parted[end:last]):
                yield whole[: begin - first] + whole[end - first :], GAP


def one_list(phrase: list[Token], places: list[int], kept: list[int], depth: int) -> bool:
    """Whether what a gap leaves out, and what stays, are items of one list: the last one follows an and or an or.

    An *of* between the items left out begins another phrase; an item with the head of its own needs no other.
    """
    before, after = next((a, b) for a, b in pairwise(kept) if b > a + 1)
    gap = phrase[places[before + 1] : places[after - 1] + 1]
    head = phrase[places[kept[-1]]].normal
    if any(token.role == "of" or token.normal == head for token in gap):
        return False
    links = [token for token in phrase[places[before] : places[after]] if token.role == "coordinator"]
    if links[-1].normal != ",":
        return True
    following_role = phrase[places[before] + 1].role
    shared_adjective = before == kept[0] and phrase[places[before]].normal not in MODIFIERS and depth <= 1
    if following_role != "of" and not (following_role == "word" and shared_adjective):
        return False
    rest = phrase[places[kept[-1]] + 1 : places[kept[-1]] + 1 + LONGEST]
    following = next((token for token in rest if token.role in ("coordinator", "of")), None)
    return following is not None and following.role == "coordinator"


def kept_tokens(phrase: list[Token], places: list[int], kept: list[int]) -> list[Token]:
    """The kept words with the *of* and *be* that stand before them."""
    tokens = []
    for index, place in enumerate(kept):
        if index and place > kept[index - 1] + 1 and phrase[places[kept[index - 1]] + 1].role == "of":
            tokens.append(phrase[places[kept[index - 1]] + 1])
        elif index:
            previous = places[place] - 1
            while previous >= 0 and phrase[previous].role in ("article", "of", "be"):
                if phrase[previous].role != "article":
                    tokens.append(phrase[previous])
                    break
                previous -= 1
        tokens.append(phrase[places[place]])
    return tokens
