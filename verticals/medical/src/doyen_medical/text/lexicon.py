"""The word lists of ``lexicon.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _lists() -> dict[str, Any]:
    lists: dict[str, Any] = tomllib.loads(
        files("doyen_medical.text").joinpath("lexicon.toml").read_text(encoding="utf-8")
    )
    return lists


def ordered_words(name: str) -> tuple[str, ...]:
    """The words of a list in its order."""
    return tuple(_lists()[name].split())


def word_list(name: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(_lists()[name].split())


def further_names() -> dict[str, str]:
    """Names that HPO does not list, to ids."""
    return dict(_lists()["names"])
