"""Whether a finding is there: negation, hypothesis, history and whose it is.

ConText (Chapman et al., ConText: an algorithm for determining negation, experiencer, and temporal status from
clinical reports, BioNLP 2007; Harkema et al., J Biomed Inform 2009), with trigger phrases of our own: a trigger
governs the findings of its clause, before or behind it, up to a phrase that ends its scope. Phrases that only look
like triggers (``not only``) are read first.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any, Final, Literal, NamedTuple

from doyen_medical.text.concepts import Mention
from doyen_medical.text.tokens import sentences

Kind = Literal["negated", "hypothetical", "historical", "family"]
Status = Literal["observed", "excluded", "hypothetical"]

_KINDS: Final[tuple[Kind, ...]] = ("negated", "hypothetical", "historical", "family")
_ALWAYS_ENDS: Final = r"[;()]|\.\s"
_JOINT: Final = re.compile(r",|\band\b")
_HEADING: Final = re.compile(
    r"^[ \t]*(?:family (?:medical )?history|fhx?|家族史)[ \t]*[:：]?[ \t]*\n((?:[ \t]*\S.*[^:：\n]\n?)+)",
    re.I | re.M,
)


class Assertion(NamedTuple):
    """A mention with its status; ``family`` when another member of the family has it, ``historical`` when past."""

    mention: Mention
    status: Status
    family: bool
    historical: bool


class _Trigger(NamedTuple):
    kind: Kind
    start: int
    end: int
    forward: bool


def assess(text: str, mentions: Sequence[Mention]) -> list[Assertion]:
    """The status of each mention, in the same order. Excluded wins over hypothetical where both hold.

    Time grows with the text's length: a trigger governs its sentence alone, and sentences have a greatest length.
    """
    headings = _Spans([match.span(1) for match in _HEADING.finditer(text)])
    order = sorted(range(len(mentions)), key=lambda place: mentions[place].start)
    starts = [mentions[place].start for place in order]
    held: dict[int, set[Kind]] = {
        place: {"family"} if headings.hold(mention.start, mention.end) else set()
        for place, mention in enumerate(mentions)
    }
    for start, end in sentences(text):
        places = [
            place
            for place in order[bisect_left(starts, start) : bisect_left(starts, end)]
            if mentions[place].end <= end
        ]
        if not places:
            continue
        inside = [mentions[place] for place in places]
        scopes: dict[Kind, list[tuple[int, int]]] = {kind: [] for kind in _KINDS}
        for kind, low, high in (
            *_scopes(text, start, end, inside),
            *_chinese_scopes(text, start, end, inside),
        ):
            scopes[kind].append((low, high))
        for kind, ranges in scopes.items():
            spans = _Spans(ranges)
            for place in places:
                if spans.hold(mentions[place].start, mentions[place].end):
                    held[place].add(kind)
    return [_assertion(mention, held[place]) for place, mention in enumerate(mentions)]


def _assertion(mention: Mention, held: set[Kind]) -> Assertion:
    status: Status = "observed"
    if "hypothetical" in held:
        status = "hypothetical"
    if "negated" in held:
        status = "excluded"
    return Assertion(mention, status, "family" in held, "historical" in held)


class _Spans:
    """Ranges sorted by their start, with the farthest end so far: whether one holds another range, by bisection."""

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(ranges)
        self.lows = [low for low, _ in ordered]
        self.highs = list(accumulate((high for _, high in ordered), max))

    def hold(self, start: int, end: int) -> bool:
        place = bisect_right(self.lows, start)
        return place > 0 and end <= self.highs[place - 1]


class _Ends:
    """The phrases of a sentence that end a kind's scopes, found once."""

    def __init__(self, pattern: re.Pattern[str], text: str, start: int, end: int) -> None:
        self.pattern, self.text, self.start, self.end = pattern, text, start, end
        spans = [match.span() for match in pattern.finditer(text, start, end)]
        self.starts, self.stops = [low for low, _ in spans], [high for _, high in spans]

    def after(self, at: int) -> int:
        """Where the next phrase from ``at`` begins, else the sentence's end."""
        place = bisect_left(self.starts, at)
        if place and self.stops[place - 1] > at:
            match = self.pattern.search(self.text, at, self.end)
            return match.start() if match else self.end
        return self.starts[place] if place < len(self.starts) else self.end

    def before(self, at: int) -> int | None:
        """Where the last phrase before ``at`` ends."""
        place = bisect_right(self.stops, at)
        if place < len(self.starts) and self.starts[place] < at:
            stops = [match.end() for match in self.pattern.finditer(self.text, self.start, at)]
            return stops[-1] if stops else None
        return self.stops[place - 1] if place else None


class _Taken:
    """Which characters of a sentence belong to a finding's name or a trigger."""

    def __init__(self, start: int, end: int, mentions: Sequence[Mention]) -> None:
        self.start, self.used = start, bytearray(end - start)
        for mention in mentions:
            self.take(mention.start, mention.end)

    def free(self, low: int, high: int) -> bool:
        return self.used.find(1, low - self.start, high - self.start) < 0

    def take(self, low: int, high: int) -> None:
        self.used[low - self.start : high - self.start] = b"\1" * (high - low)


def _scopes(text: str, start: int, end: int, mentions: Sequence[Mention]) -> Iterator[tuple[Kind, int, int]]:
    # A word inside a finding's name is no trigger: absence of the corpus callosum.
    taken = _Taken(start, end, mentions)
    triggers: list[_Trigger] = []
    for name, forward, (low, high) in _candidates(text, start, end):
        if taken.free(low, high):
            taken.take(low, high)
            if name != "pseudo":
                triggers.append(_Trigger(name, low, high, forward))
    barriers = {
        kind: _Ends(_ends()[kind], text, start, end) for kind in {trigger.kind for trigger in triggers}
    }
    joints = [match.end() for match in _JOINT.finditer(text, start, end)] if triggers else []
    for trigger in triggers:
        if trigger.forward:
            yield trigger.kind, trigger.end, barriers[trigger.kind].after(trigger.end)
        else:
            barrier = barriers[trigger.kind].before(trigger.start)
            low = start if barrier is None else barrier
            if barrier is not None and trigger.kind != "historical":
                joint = bisect_right(joints, trigger.start)
                low = max(low, joints[joint - 1] if joint else low)
            yield trigger.kind, low, trigger.start


def _chinese_scopes(
    text: str, start: int, end: int, mentions: Sequence[Mention]
) -> Iterator[tuple[Kind, int, int]]:
    """Chinese triggers stand before what they govern and reach to the end of the clause."""
    rules = _rules()["chinese"]
    taken = _Taken(start, end, mentions)
    stops = [place for place in range(start, end) if text[place] in rules["clause_ends"]]
    for phrase, kind in [
        *((phrase, None) for phrase in rules["pseudo"]),
        *((phrase, name) for name in _KINDS for phrase in rules[name]),
    ]:
        at = text.find(phrase, start, end)
        while at >= 0:
            high = at + len(phrase)
            if taken.free(at, high):
                taken.take(at, high)
                if kind is not None:
                    stop = bisect_left(stops, high)
                    yield kind, high, stops[stop] if stop < len(stops) else end
            at = text.find(phrase, high, end)


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(files("doyen_medical.text").joinpath("context.toml").read_text(encoding="utf-8"))


def _candidates(text: str, start: int, end: int) -> list[tuple[Any, bool, tuple[int, int]]]:
    """Trigger phrases with their kind and direction: pseudo triggers first, then the longer first."""
    found = [
        (name, forward, match.span())
        for name, forward, pattern in _patterns()
        for match in pattern.finditer(text, start, end)
    ]
    return sorted(found, key=lambda hit: (hit[0] != "pseudo", hit[2][0] - hit[2][1], hit[2]))


@cache
def _patterns() -> tuple[tuple[Any, bool, re.Pattern[str]], ...]:
    """Kind, whether it stands before the findings, pattern."""
    rules = _rules()
    return (
        ("pseudo", True, _any_of(rules["pseudo"]["phrases"])),
        *((kind, True, _any_of(rules[kind]["before"])) for kind in _KINDS),
        *((kind, False, _any_of(rules[kind]["after"])) for kind in _KINDS),
    )


@cache
def _ends() -> dict[Kind, re.Pattern[str]]:
    return {
        kind: re.compile(_any_of(_rules()[kind]["ends"]).pattern + "|" + _ALWAYS_ENDS, re.I)
        for kind in _KINDS
    }


def _any_of(phrases: Sequence[str]) -> re.Pattern[str]:
    """Any of the phrases, the longer first, between word boundaries (signs need none before them)."""
    words = "|".join(
        sorted((p for p in phrases if not p.startswith(("\\(", "\\?", "(?::", ","))), key=len, reverse=True)
    )
    signs = "|".join(p for p in phrases if p.startswith(("\\(", "\\?", "(?::", ",")))
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)" + (rf"|(?:{signs})(?!\w)" if signs else ""), re.I)
