"""Words and phrases that contracts use, counted in CUAD's train part.

``lexicon.json`` holds the words that contracts write in small letters (so that a capitalised run of them is a
term and not a name), and the capitalised phrases that contracts use without defining them ("Board of
Directors"). Built by ``python -m doyen_legal.consistency.lexicon --data FILE``.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_FILE: Final = "lexicon.json"


class Lexicon(NamedTuple):
    """``words`` in small letters; ``phrases`` in small letters that need no definition."""

    words: frozenset[str]
    phrases: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """The shipped lexicon."""
    data = json.loads(files(__package__).joinpath(_FILE).read_text(encoding="utf-8"))
    return Lexicon(frozenset(data["words"].split()), frozenset(data["phrases"]))
