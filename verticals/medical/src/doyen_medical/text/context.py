"""Whether a finding is there: negation, hypothesis, history and whose it is.

ConText (Chapman et al., ConText: an algorithm for determining negation, experiencer, and temporal status from
clinical reports, BioNLP 2007; Harkema et al., J Biomed Inform 2009), with trigger phrases of our own: a trigger
governs the findings of its clause, before or behind it, up to a phrase that ends its scope. Phrases that only look
like triggers (``not only``) are read first.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple

from doyen_medical.text.concepts import Mention
from doyen_medical.text.tokens import sentences

Kind = Literal["negated", "hypothetical", "historical", "family"]
Status = Literal["observed", "excluded", "hypothetical"]

_KINDS: Final[tuple[Kind, ...]] = ("negated", "hypothetical", "historical", "family")
_ALWAYS_ENDS: Final = r"[;()]|\.\s"
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
    """The status of each mention, in the same order. Excluded wins over hypothetical where both hold."""
    scopes: dict[Kind, list[tuple[int, int]]] = {kind: [] for kind in _KINDS}
    for match in _HEADING.finditer(text):
        scopes["family"].append(match.span(1))
    for start, end in sentences(text):
        inside = [mention for mention in mentions if start <= mention.start and mention.end <= end]
        if not inside:
            continue
        for kind, low, high in (
            *_scopes(text, start, end, inside),
            *_chinese_scopes(text, start, end, inside),
        ):
            scopes[kind].append((low, high))
    return [_assertion(mention, scopes) for mention in mentions]


def _assertion(mention: Mention, scopes: dict[Kind, list[tuple[int, int]]]) -> Assertion:
    held = {
        kind
        for kind, ranges in scopes.items()
        if any(low <= mention.start and mention.end <= high for low, high in ranges)
    }
    status: Status = "observed"
    if "hypothetical" in held:
        status = "hypothetical"
    if "negated" in held:
        status = "excluded"
    return Assertion(mention, status, "family" in held, "historical" in held)


def _scopes(text: str, start: int, end: int, mentions: Sequence[Mention]) -> Iterator[tuple[Kind, int, int]]:
    # A word inside a finding's name is no trigger: absence of the corpus callosum.
    taken = [(mention.start, mention.end) for mention in mentions]
    triggers: list[_Trigger] = []
    for name, forward, (low, high) in _candidates(text, start, end):
        if any(low < b and a < high for a, b in taken):
            continue
        taken.append((low, high))
        if name != "pseudo":
            triggers.append(_Trigger(name, low, high, forward))
    for trigger in triggers:
        ends = _ends()[trigger.kind]
        if trigger.forward:
            barrier = ends.search(text, trigger.end, end)
            yield trigger.kind, trigger.end, barrier.start() if barrier else end
        else:
            barriers = [match.end() for match in ends.finditer(text, start, trigger.start)]
            low = barriers[-1] if barriers else start
            if barriers and trigger.kind != "historical":
                low = max(
                    low,
                    *(m.end() for m in re.finditer(r",|\band\b", text[: trigger.start]) if m.end() > low),
                    low,
                )
            yield trigger.kind, low, trigger.start


def _chinese_scopes(
    text: str, start: int, end: int, mentions: Sequence[Mention]
) -> Iterator[tuple[Kind, int, int]]:
    """Chinese triggers stand before what they govern and reach to the end of the clause."""
    rules = _rules()["chinese"]
    taken = [(mention.start, mention.end) for mention in mentions]
    for phrase, kind in [
        *((phrase, None) for phrase in rules["pseudo"]),
        *((phrase, name) for name in _KINDS for phrase in rules[name]),
    ]:
        at = text.find(phrase, start, end)
        while at >= 0:
            high = at + len(phrase)
            if not any(at < b and a < high for a, b in taken):
                taken.append((at, high))
                if kind is not None:
                    stop = next((p for p in range(high, end) if text[p] in rules["clause_ends"]), end)
                    yield kind, high, stop
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
