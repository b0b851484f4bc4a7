"""How a clause differs from the standard clause, word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

Op = tuple[Literal["equal", "delete", "insert"], str]

_TOKEN: Final = re.compile(r"\w+(?:[’'-]\w+)*|\s+|[^\w\s]")
_QUOTES: Final = str.maketrans("“”„’‘‚–—", "\"\"\"'''--")
# Below this the texts share function words only, and a word diff is confetti: the whole clause is replaced.
RELATED: Final = 0.35
# An agreeing stretch with fewer words than this between two changes joins them: easier to read as one.
_ISLAND: Final = 2


class Deviation(NamedTuple):
    """``ops`` in reading order: what agrees, what the clause has and the standard has not, and the reverse.

    Equal and deleted texts joined are the clause, character for character; equal and inserted ones are the
    standard, but for white space and the form of quotation marks. ``similarity`` is 2 x agreeing words over the
    words of both, in [0, 1].
    """

    similarity: float
    ops: list[Op]
    deleted: int
    inserted: int


def compare(clause: str, standard: str) -> Deviation:
    """The word diff that turns ``clause`` into ``standard``."""
    a, b = _TOKEN.findall(clause), _TOKEN.findall(standard)
    matcher = SequenceMatcher(None, [_key(t) for t in a], [_key(t) for t in b], autojunk=False)
    blocks: list[tuple[str, list[str], list[str]]]
    blocks = [(tag, a[i1:i2], b[j1:j2]) for tag, i1, i2, j1, j2 in matcher.get_opcodes()]
    words = sum(map(_is_word, a)) + sum(map(_is_word, b))
    agreeing = sum(_is_word(t) for tag, old, _ in blocks if tag == "equal" for t in old)
    similarity = 2 * agreeing / words if words else 1.0
    if similarity < RELATED:
        blocks = [("replace", a, b)]
    ops: list[Op] = []
    for changed, old, new in _joined(blocks):
        if not changed:
            ops.append(("equal", "".join(old)))
            continue
        if old:
            ops.append(("delete", "".join(old)))
        if new:
            ops.append(("insert", "".join(new)))
    deleted, inserted = (
        sum(_is_word(t) for op, text in ops if op == kind for t in _TOKEN.findall(text))
        for kind in ("delete", "insert")
    )
    return Deviation(round(similarity, 4), ops, deleted, inserted)


def _joined(blocks: Sequence[tuple[str, list[str], list[str]]]) -> list[tuple[bool, list[str], list[str]]]:
    """Blocks as (changed, old tokens, new tokens), changes merged over small agreeing islands."""
    merged: list[tuple[bool, list[str], list[str]]] = []
    for index, (tag, old, new) in enumerate(blocks):
        inside = 0 < index < len(blocks) - 1
        changed = tag != "equal" or (inside and sum(map(_is_word, old)) < _ISLAND)
        if merged and changed and merged[-1][0]:
            merged[-1] = (True, merged[-1][1] + old, merged[-1][2] + new)
        else:
            merged.append((changed, list(old), list(new)))
    return merged


def _key(token: str) -> str:
    return " " if token.isspace() else token.translate(_QUOTES)


def _is_word(token: str) -> bool:
    return token[0].isalnum()
