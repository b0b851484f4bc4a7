"""The word lists of ``lexicon.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def _lists() -> dict[str, str]:
    lists: dict[str, str] = tomllib.loads(
        files("doyen_medical.text").joinpath("lexicon.toml").read_text(encoding="utf-8")
    )
    return lists


def ordered_words(name: str) -> tuple[str, ...]:
    """The words of a list in its order."""
    return tuple(_lists()[name].split())


def word_list(name: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(_lists()[name].split())
