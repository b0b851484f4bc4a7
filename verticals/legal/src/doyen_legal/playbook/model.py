"""What a playbook says, as checked data: contract type, sides, where clauses are found, and the rules.

A rule looks at one clause. Its cases are tried in order; the first that holds for one passage of the clause gives
the outcome, ``otherwise`` gives it when none does. ``absent`` says what a document without the clause means.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from doyen_legal.labels import LABELS
from doyen_legal.normalise import approximate_days, find_jurisdictions, parse_duration
from doyen_schemas import DoyenError, Severity

Outcome = Literal["ok", "risk", "reject", "needs_review"]
NliLabel = Literal["entailment", "contradiction", "not_mentioned"]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A playbook's pattern: case does not count, and a blank in it stands for any white space."""
    return re.compile(re.sub(r" +", r"\\s+", pattern), re.IGNORECASE)


def _pattern(pattern: str) -> str:
    try:
        matches_nothing = compiled(pattern).match("") is not None
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from error
    if matches_nothing:
        raise ValueError("the pattern matches the empty text")
    return pattern


def _duration(iso: str) -> str:
    parse_duration(iso)
    return iso


def _jurisdiction(name: str) -> str:
    known = find_jurisdictions(name)
    if len(known) != 1 or known[0].value.text != name:
        meant = f"; did you mean {known[0].value.text!r}?" if known else ""
        raise ValueError(f"{name!r} is no jurisdiction that Doyen recognises{meant}")
    return name


def _label(label: str) -> str:
    if label not in LABELS:
        raise ValueError(f"{label!r} is none of the 41 clause labels")
    return label


Pattern = Annotated[str, AfterValidator(_pattern)]
Duration = Annotated[str, AfterValidator(_duration)]
Jurisdiction = Annotated[str, AfterValidator(_jurisdiction)]
Label = Annotated[str, AfterValidator(_label)]
Text = Annotated[str, Field(min_length=1)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Unknown keys are refused, so that a misspelt condition is never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Locator(Model):
    """Where a clause is found: the extractor's labels, section titles, or patterns in the text."""

    labels: tuple[Label, ...] = ()
    titles: tuple[Pattern, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    @model_validator(mode="after")
    def _finds_something(self) -> Locator:
        if not (self.labels or self.titles or self.patterns):
            raise ValueError("give at least one of labels, titles, patterns")
        return self


class _Range(Model):
    near: Pattern | None = None

    @model_validator(mode="after")
    def _bounded(self) -> _Range:
        bounds = ("at_least", "at_most", "more_than", "less_than")
        if not any(getattr(self, bound) is not None for bound in bounds):
            raise ValueError(f"give at least one of {', '.join(bounds)}")
        return self


class NumberRange(_Range):
    """Bounds for a percentage. ``near``: only figures in a sentence that matches it count."""

    at_least: float | None = None
    at_most: float | None = None
    more_than: float | None = None
    less_than: float | None = None

    def holds(self, value: float) -> bool:
        """Whether ``value`` keeps every bound."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.more_than is None or value > self.more_than)
            and (self.less_than is None or value < self.less_than)
        )


class AmountRange(NumberRange):
    """Bounds for an amount of money; with ``currency`` (ISO 4217) only amounts in it count."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None


class DurationRange(_Range):
    """Bounds for a duration, ISO 8601 (``P30D``, ``P2Y``). ``near``: as for figures."""

    at_least: Duration | None = None
    at_most: Duration | None = None
    more_than: Duration | None = None
    less_than: Duration | None = None

    def in_days(self) -> NumberRange:
        """The same bounds in days."""
        bounds = self.model_dump(exclude={"near"}, exclude_none=True)
        return NumberRange.model_validate({name: approximate_days(iso) for name, iso in bounds.items()})


class Laws(Model):
    """Jurisdictions that the clause may (``allowed``) or may not (``refused``) name."""

    allowed: tuple[Jurisdiction, ...] = ()
    refused: tuple[Jurisdiction, ...] = ()

    @model_validator(mode="after")
    def _one_list(self) -> Laws:
        if bool(self.allowed) == bool(self.refused):
            raise ValueError("give either allowed or refused")
        return self


class Hypothesis(Model):
    """A statement that the contradiction head judges against the clause's text."""

    text: Text
    is_: Annotated[NliLabel, Field(alias="is")]
    at_least: Probability = 0.6


class When(Model):
    """Conditions that must all hold for one passage of the clause; no condition always holds.

    ``text`` and ``not_text`` are patterns of which one (none) matches. ``present`` and ``absent`` name other
    clauses of the document. A value condition holds when one value of the passage keeps its bounds.
    """

    text: tuple[Pattern, ...] = ()
    not_text: tuple[Pattern, ...] = ()
    duration: DurationRange | None = None
    amount: AmountRange | None = None
    percent: NumberRange | None = None
    law: Laws | None = None
    hypothesis: Hypothesis | None = None
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class Case(Model):
    """What holds, and what follows from it. ``severity`` overrides the rule's."""

    when: When
    outcome: Outcome
    because: Text
    severity: Severity | None = None


class Otherwise(Model):
    """The outcome when no case holds."""

    outcome: Outcome = "needs_review"
    because: Text = "none of the playbook's cases fits the wording"
    severity: Severity | None = None


class Absent(Model):
    """The outcome for a document without the clause."""

    outcome: Outcome
    because: Text
    severity: Severity | None = None


class Rule(Model):
    """One rule: the clause, for which side, its cases, and what to propose instead."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: Text
    clause: str
    side: str | None = None
    severity: Severity = "medium"
    cases: tuple[Case, ...] = ()
    otherwise: Otherwise = Otherwise()
    absent: Absent | None = None
    preferred: Text | None = None
    fallback: Text | None = None
    explanation: Text

    def for_side(self, side: str) -> bool:
        """Whether the rule speaks for ``side``; one without a side speaks for all."""
        return self.side is None or self.side == side


class Presence(Model):
    """Between the bounds the extractor is unsure whether a clause is there: the outcome is needs_review."""

    absent_below: Probability = 0.25
    present_above: Probability = 0.5

    @model_validator(mode="after")
    def _ordered(self) -> Presence:
        if self.absent_below > self.present_above:
            raise ValueError("absent_below must not be greater than present_above")
        return self


class Detect(Model):
    """How the contract type is recognised: by its title or file name, and by words that only it uses."""

    titles: tuple[Pattern, ...]
    not_titles: tuple[Pattern, ...] = ()
    text: tuple[Pattern, ...] = ()


class Playbook(Model):
    """A house position on one type of contract, for two sides."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    title: Text
    contract_type: Text
    sides: Annotated[tuple[str, ...], Field(min_length=1)]
    detect: Detect
    presence: Presence = Presence()
    clauses: dict[str, Locator] = Field(default_factory=dict)
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    def check_side(self, side: str) -> None:
        """Raise LEG-033 unless the playbook knows ``side``."""
        if side not in self.sides:
            raise DoyenError(
                "LEG-033",
                f"side {side!r} is not in playbook {self.name}, which knows {', '.join(self.sides)}.",
                "Give one of these with --side.",
            )

    def locator(self, clause: str) -> Locator:
        """The locator of a clause: the playbook's own, or the extractor's label of that name."""
        return self.clauses.get(clause) or Locator(labels=(clause,))

    def loose_ends(self) -> list[tuple[tuple[str | int, ...], str]]:
        """References that lead nowhere, each with its place in the file."""
        known = {*LABELS, *self.clauses}
        found: list[tuple[tuple[str | int, ...], str]] = []
        ids: set[str] = set()
        for i, rule in enumerate(self.rules):
            place: tuple[str | int, ...] = ("rules", i)
            if rule.id in ids:
                found.append(((*place, "id"), f"rule {rule.id} is defined twice"))
            ids.add(rule.id)
            if rule.side is not None and rule.side not in self.sides:
                found.append(((*place, "side"), f"side {rule.side!r} is none of {list(self.sides)}"))
            if not rule.cases and rule.absent is None:
                found.append((place, f"rule {rule.id} has neither cases nor absent"))
            named = [((*place, "clause"), rule.clause)]
            for j, case in enumerate(rule.cases):
                for key in ("present", "absent"):
                    named += [((*place, "cases", j, "when", key), name) for name in getattr(case.when, key)]
            found += [(at, f"clause {name!r} is not defined") for at, name in named if name not in known]
        return found
