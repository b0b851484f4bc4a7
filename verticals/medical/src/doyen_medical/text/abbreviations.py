"""Short forms that a text defines: ``autosomal dominant (AD)``.

The algorithm of Schwartz and Hearst (A simple algorithm for identifying abbreviation definitions in biomedical text,
PSB 2003).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BRACKET: Final = re.compile(r"\(([A-Za-z][\w&/-]{1,9})(?:[,;:][^()]*)?\)")


class Definition(NamedTuple):
    """``short`` stands for ``text[start:end]``."""

    short: str
    start: int
    end: int


def definitions(text: str) -> list[Definition]:
    """The definitions in a text, in order; of two for one short form the first counts."""
    found: dict[str, Definition] = {}
    for match in _BRACKET.finditer(text):
        short = match.group(1)
        if not any(char.isupper() for char in short) or short in found:
            continue
        words = min(len(short) + 5, 2 * len(short))
        before = text[max(0, match.start() - 200) : match.start()].rstrip()
        base = max(0, match.start() - 200)
        candidates = list(re.finditer(r"\S+", re.split(r"[.;:()]\s", before)[-1]))[-words:]
        if not candidates:
            continue
        offset = base + len(before) - len(re.split(r"[.;:()]\s", before)[-1])
        long_start = _best_long_form(short, text[offset + candidates[0].start() : base + len(before)])
        if long_start is not None:
            start = offset + candidates[0].start() + long_start
            found[short] = Definition(short, start, base + len(before))
    return list(found.values())


def _best_long_form(short: str, long: str) -> int | None:
    """Where the long form begins in ``long``: its letters found from the end, the first one at a word's start."""
    at = len(long) - 1
    for place in range(len(short) - 1, -1, -1):
        char = short[place].lower()
        if not char.isalnum():
            continue
        if (
            place == len(short) - 1
            and char == "s"
            and len(short) > 2
            and not long.lower().rstrip().endswith("s")
        ):
            continue
        while at >= 0 and (long[at].lower() != char or (place == 0 and at > 0 and long[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return None
        at -= 1
    start = long.rfind(" ", 0, at + 2) + 1
    return start if len(long) - start > len(short) else None
