"""Personal data out of a note, before it is logged or shown to a model: the identifiers of HIPAA's Safe Harbor.

Rules only (45 CFR 164.514(b)(2)): names after titles and cues, places, dates but for the year, ages over 89, numbers
and addresses. Measured numbers with their units stay. A rule misses what has no cue: a name alone in a sentence.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_SHORTEST_NAME: Final = 3
_EPONYM: Final = re.compile(
    r"(?:['’]s)?[ -](?:[A-Z][\w-]+ )?(?:syndrome|disease|sign|anomaly|malformation|test|score|criteria|cell|body|reflex|"
    r"phenomenon|dystrophy|palsy|contracture|ataxia)",
    re.I,
)


class Phi(NamedTuple):
    """``text[start:end]`` of the original, taken out as ``kind``."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Deidentified:
    """The text with placeholders such as ``[NAME]``, and what was taken out, in order."""

    text: str
    taken: tuple[Phi, ...]
    starts: tuple[int, ...]
    """Where each placeholder begins in ``text``."""

    def original(self, offset: int) -> int:
        """The offset in the original of an offset in ``text``; inside a placeholder, where the taken text begins."""
        index = bisect_right(self.starts, offset) - 1
        if index < 0:
            return offset
        phi = self.taken[index]
        past = offset - self.starts[index] - len(_placeholder(phi.kind))
        return phi.start if past < 0 else phi.end + past


def deidentify(text: str) -> Deidentified:
    """Replaces personal data by typed placeholders; numbers and units of findings stay as they are."""
    taken = _found(text)
    parts, starts, at, length = [], [], 0, 0
    for phi in taken:
        parts += [text[at : phi.start], _placeholder(phi.kind)]
        starts.append(length + phi.start - at)
        length = starts[-1] + len(parts[-1])
        at = phi.end
    return Deidentified("".join(parts) + text[at:], taken, tuple(starts))


def _placeholder(kind: str) -> str:
    return f"[{kind}]"


def _found(text: str) -> tuple[Phi, ...]:
    found: list[Phi] = []
    taken = bytearray(len(text))

    def take(kind: str, start: int, end: int) -> None:
        if start < end and not any(taken[start:end]):
            taken[start:end] = b"\x01" * (end - start)
            found.append(Phi(kind, start, end))

    for kind, pattern in _patterns():
        for match in pattern.finditer(text):
            group = next((name for name in ("x", "y", "z") if name in pattern.groupindex and match[name]), 0)
            take(kind, *match.span(group))
    for start, end in _again(text, found):
        take("NAME", start, end)
    return tuple(sorted(found, key=lambda phi: phi.start))


def _again(text: str, found: list[Phi]) -> Iterator[tuple[int, int]]:
    """Other places of the names found; an eponym (Marfan syndrome) stays."""
    words = {
        word
        for phi in found
        if phi.kind == "NAME"
        for word in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text[phi.start : phi.end])
        if len(word) >= _SHORTEST_NAME and word[0].isupper()
    }
    if not words:
        return
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + r")\b")
    for match in pattern.finditer(text):
        if not _EPONYM.match(text, match.end()):
            yield match.span()


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    rules = tomllib.loads(files("doyen_medical.text").joinpath("phi.toml").read_text(encoding="utf-8"))
    fragments: dict[str, str] = rules["fragments"] | rules["names"]

    def filled(regex: str) -> str:
        for _ in range(3):
            regex = re.sub(r"\{([a-z]+)\}", lambda match: fragments.get(match[1], match[0]), regex)
        return regex

    return tuple((rule["kind"], re.compile(filled(rule["regex"]))) for rule in rules["pattern"])
