"""Does a case hold for a passage, and which sentences of it show that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from doyen_legal.extract.sentences import split_sentences
from doyen_legal.normalise import (
    Mention,
    approximate_days,
    find_amounts,
    find_durations,
    find_governing_laws,
    find_jurisdictions,
    find_percents,
)  # fmt: skip
from doyen_legal.playbook.locate import Range
from doyen_legal.playbook.model import AmountRange, NumberRange, When, compiled

# A quote longer than this proves less than its telling sentences do.
_QUOTE: Final = 600
# Five working days are a calendar week.
_CALENDAR_DAYS: Final = {"business days": 7 / 5}

Verdict = Mapping[str, float]
"""The contradiction head's probability of each label."""


def evidence_for(
    when: When,
    text: str,
    passage: Range,
    state_of: Callable[[str], str],
    verdict_of: Callable[[str], Verdict],
) -> list[Range] | None:
    """Ranges that show that ``when`` holds for ``passage`` of ``text``; None when it does not hold.

    ``state_of(clause)`` says whether another clause is present, ``verdict_of(hypothesis)`` judges the clause.
    A value condition over a passage without such a value does not hold.
    """
    start, end = passage
    body = text[start:end]
    if any(state_of(name) != "present" for name in when.present):
        return None
    if any(state_of(name) != "absent" for name in when.absent):
        return None
    if any(compiled(pattern).search(body) for pattern in when.not_text):
        return None
    shown: list[Range] = []
    if when.text:
        match = next((m for pattern in when.text if (m := compiled(pattern).search(body))), None)
        if match is None:
            return None
        shown.append(match.span())
    for kept in _values(when, body):
        if not kept:
            return None
        shown += [(mention.start, mention.end) for mention in kept]
    if when.hypothesis is not None:
        verdict = verdict_of(when.hypothesis.text)
        if verdict[when.hypothesis.is_] < when.hypothesis.at_least:
            return None
    return [(start + a, start + b) for a, b in quotes(body, shown)]


def quotes(body: str, shown: Iterable[Range]) -> list[Range]:
    """The whole of a short passage; of a long one the sentences that hold ``shown``, or its beginning."""
    if len(body) <= _QUOTE:
        return [trimmed(body)]
    sentences = split_sentences(body)
    telling = {s for a, b in shown for s in sentences if s[0] < b and a < s[1]}
    if telling:
        return sorted(telling)
    end = sentences[0][1] if sentences else 0
    for sentence in sentences:
        if sentence[1] > _QUOTE:
            break
        end = sentence[1]
    return [trimmed(body[: end or len(body)])]


def _values(when: When, body: str) -> Iterable[list[Mention]]:
    """For each value condition, the mentions that keep it."""
    if when.duration is not None:
        bounds = when.duration.in_days()
        yield [
            mention
            for mention in _near(find_durations(body), body, when.duration.near)
            if bounds.holds(
                approximate_days(mention.value.text) * _CALENDAR_DAYS.get(mention.value.unit or "", 1)
            )
        ]
    if when.amount is not None:
        yield _numbers(find_amounts(body), body, when.amount)
    if when.percent is not None:
        yield _numbers(find_percents(body), body, when.percent)
    if when.law is not None:
        named = find_governing_laws(body) or find_jurisdictions(body)
        if when.law.allowed:
            # One law outside the list is enough to fail: a clause may name two.
            wrong = [mention for mention in named if mention.value.text not in when.law.allowed]
            yield [] if wrong else named
        else:
            yield [mention for mention in named if mention.value.text in when.law.refused]


def _numbers(mentions: Iterable[Mention], body: str, bounds: NumberRange) -> list[Mention]:
    currency = bounds.currency if isinstance(bounds, AmountRange) else None
    return [
        mention
        for mention in _near(mentions, body, bounds.near)
        if (currency is None or mention.value.unit == currency) and bounds.holds(float(mention.value.text))
    ]


def _near(mentions: Iterable[Mention], body: str, near: str | None) -> list[Mention]:
    if near is None:
        return list(mentions)
    sentences = [s for s in split_sentences(body) if compiled(near).search(body, *s)]
    return [m for m in mentions if any(s <= m.start and m.end <= e for s, e in sentences)]


def trimmed(body: str) -> Range:
    """The range of ``body`` without the white space around it."""
    stripped = body.strip()
    start = len(body) - len(body.lstrip())
    return start, start + len(stripped)
