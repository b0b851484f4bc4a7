"""The check of every sentence that a record teaches or the model writes: terms, evidence and numbers against the table.

A sentence has one of four forms (``prompt.steps`` writes them); each finding, candidate and number in it must be
what was computed. Anything else is dropped, and counted by reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from doyen_medical.llm.facts import LETTERS, Facts, Finding, Option
from doyen_medical.llm.prompt import times

Reason = Literal["form", "candidate", "ontology", "evidence", "number", "repeated"]
IsTerm = Callable[[str], bool]
"""Whether the ontology has a term with this label."""
_ANALYSIS: Final = re.compile(r"Analysis: (\d{1,4}) findings, most telling: (.+)\.")
_EXPLAINS: Final = re.compile(r"([A-Z]) explains (\d{1,4}) of (\d{1,4})(?:: (.+))?\.")
_LACKS: Final = re.compile(r"([A-Z]) lacks (.+)\.")
_AGAINST: Final = re.compile(r"([A-Z]) is contradicted by (.+)\.")
_TIMES: Final = re.compile(r"(.+) (x\d{1,9}(?:\.\d)?)")


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence that holds: the candidate that it speaks of (None: the findings alone) and the references behind it."""

    text: str
    option: Option | None = None
    sources: tuple[str, ...] = ()


@dataclass(slots=True)
class Verdict:
    """The sentences that hold, and how many were dropped for which reason."""

    kept: list[Checked] = field(default_factory=list)
    dropped: dict[Reason, int] = field(default_factory=dict)


def check(sentences: Iterable[str], facts: Facts, is_term: IsTerm) -> Verdict:
    """Sort sentences into those that hold and those that do not; one that stood before is dropped too."""
    verdict = Verdict()
    seen: set[str] = set()
    for sentence in sentences:
        text = sentence.strip()
        if not text:
            continue
        found = "repeated" if text in seen else judge(text, facts, is_term)
        seen.add(text)
        if isinstance(found, Checked):
            verdict.kept.append(found)
        else:
            verdict.dropped[found] = verdict.dropped.get(found, 0) + 1
    return verdict


def judge(sentence: str, facts: Facts, is_term: IsTerm) -> Checked | Reason:
    """The sentence with its candidate and sources, or the first reason why it does not hold."""
    if match := _ANALYSIS.fullmatch(sentence):
        return _analysis(sentence, match, facts, is_term)
    match = _EXPLAINS.fullmatch(sentence) or _LACKS.fullmatch(sentence) or _AGAINST.fullmatch(sentence)
    if match is None:
        return "form"
    at = LETTERS.find(match[1])
    if not 0 <= at < len(facts.options):
        return "candidate"
    option = facts.options[at]
    if match.re is _EXPLAINS:
        return _explains(sentence, match, facts, option, is_term)
    own = option.lacks if match.re is _LACKS else option.against
    return _named(match[2].split("; "), facts, own, is_term) or Checked(sentence, option)


def _analysis(sentence: str, match: re.Match[str], facts: Facts, is_term: IsTerm) -> Checked | Reason:
    labels = match[2].split("; ")
    if wrong := _unobserved(labels, facts, is_term):
        return wrong
    if int(match[1]) != len(facts.findings):
        return "number"
    return Checked(sentence) if labels == [f.label for f in facts.findings[: len(labels)]] else "evidence"


def _explains(
    sentence: str, match: re.Match[str], facts: Facts, option: Option, is_term: IsTerm
) -> Checked | Reason:
    claims = [_TIMES.fullmatch(part) for part in match[4].split("; ")] if match[4] else []
    labels = []
    for claim in claims:
        if claim is None:
            return "form"
        labels.append(claim[1])
    if wrong := _unobserved(labels, facts, is_term):
        return wrong
    own = {support.finding.label: support for support in option.supports}
    if any(label not in own for label in labels) or len(set(labels)) < len(labels):
        return "evidence"
    right = (int(match[2]), int(match[3])) == (len(option.supports), len(facts.findings))
    if not right or any(claim is None or times(own[claim[1]].ratio) != claim[2] for claim in claims):
        return "number"
    return Checked(sentence, option, _sources(option, labels))


def _named(labels: list[str], facts: Facts, own: Sequence[Finding], is_term: IsTerm) -> Reason | None:
    """``evidence`` when a label stands twice or is not among the candidate's own findings of that kind."""
    if wrong := _unobserved(labels, facts, is_term):
        return wrong
    right = {finding.label for finding in own}.issuperset(labels) and len(set(labels)) == len(labels)
    return None if right else "evidence"


def _unobserved(labels: list[str], facts: Facts, is_term: IsTerm) -> Reason | None:
    """``ontology`` when a label is no term, ``evidence`` when it is none of the patient's observed findings."""
    observed = {finding.label for finding in facts.findings}
    if not all(label in observed or is_term(label) for label in labels):
        return "ontology"
    return None if observed.issuperset(labels) else "evidence"


def _sources(option: Option, labels: list[str]) -> tuple[str, ...]:
    found = [source for s in option.supports if s.finding.label in labels for source in s.sources]
    return tuple(dict.fromkeys(found))
