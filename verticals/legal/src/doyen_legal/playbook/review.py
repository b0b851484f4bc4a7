"""Apply a playbook to a document: every rule's outcome, with the passages that show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from doyen_legal.extract.sentences import split_sentences
from doyen_legal.extract.types import Clause
from doyen_legal.playbook.conditions import Verdict, evidence_for, quotes, trimmed
from doyen_legal.playbook.deviation import RELATED, compare
from doyen_legal.playbook.locate import Finder, Located, Range
from doyen_legal.playbook.model import Case, Otherwise, Playbook, Rule
from doyen_schemas import Document, Evidence, Finding

# From here a clause is taken to come from the standard form, and its changes are shown even where the rule is ok.
FROM_THE_FORM: Final = 0.5
_MOST_QUOTES: Final = 3

Judge = Callable[[Sequence[tuple[str, str]]], list[Verdict]]
"""Judges (evidence, hypothesis) pairs; ``doyen_legal.risk.nli.judge`` is the shipped one."""


def apply(
    document: Document,
    clauses: Sequence[Clause],
    presence: Mapping[str, float],
    playbook: Playbook,
    side: str,
    judge: Judge | None = None,
) -> list[Finding]:
    """Findings of kinds ``rule``, ``missing`` and ``deviation``, in the playbook's order.

    Every finding but ``missing`` has evidence. A rule whose clause may or may not be there is ``needs_review``.
    ``judge`` answers hypotheses; by default the shipped contradiction head, loaded when the playbook needs it.
    Raises LEG-033 for a side that the playbook does not know.
    """
    playbook.check_side(side)
    finder = Finder(document, clauses, presence, playbook.presence)
    located: dict[str, Located] = {}

    def locate(name: str) -> Located:
        if name not in located:
            located[name] = finder.find(playbook.locator(name))
        return located[name]

    rules = [rule for rule in playbook.rules if rule.for_side(side)]
    verdicts = _verdicts(document, rules, locate, judge)
    findings: list[Finding] = []
    for rule in rules:
        findings += _findings(document, playbook, rule, side, locate, verdicts)
    return findings


def _findings(
    document: Document,
    playbook: Playbook,
    rule: Rule,
    side: str,
    locate: Callable[[str], Located],
    verdicts: Mapping[tuple[str, str], Verdict],
) -> list[Finding]:
    place = locate(rule.clause)
    make = _Maker(document, playbook, rule, side)
    if place.state == "absent":
        if rule.absent is None or rule.absent.outcome == "ok":
            return []
        return [make.missing(rule.absent.outcome, rule.absent.because, place.probability)]
    if place.state == "unsure":
        wanted = rule.absent is not None and rule.absent.outcome != "ok"
        if place.passages:
            return [
                make.rule(
                    "needs_review",
                    "the clause may be present: the extractor is unsure",
                    place.passages,
                    place,
                )
            ]
        return (
            [
                make.missing(
                    "needs_review", "the clause may be missing: the extractor is unsure", place.probability
                )
            ]
            if wanted
            else []
        )
    case, shown = _decide(document, rule, place, locate, verdicts)
    finding = make.rule(case.outcome, case.because, shown, place, case.severity)
    if isinstance(case, Case) and case.when.hypothesis is not None:
        asked = case.when.hypothesis
        probability = verdicts[rule.clause, asked.text][asked.is_]
        finding.details["nli"] = {
            "hypothesis": asked.text, "label": asked.is_, "probability": round(float(probability), 4),
        }  # fmt: skip
    deviation = make.deviation(place, finding)
    return [finding, deviation] if deviation else [finding]


def _decide(
    document: Document,
    rule: Rule,
    place: Located,
    locate: Callable[[str], Located],
    verdicts: Mapping[tuple[str, str], Verdict],
) -> tuple[Case | Otherwise, tuple[Range, ...]]:
    """The first case that holds for a passage, with the ranges of all passages that show it."""
    for case in rule.cases:
        shown: list[Range] = []
        for passage in place.passages:
            ranges = evidence_for(
                case.when, document.text, passage,
                lambda name: locate(name).state, lambda text: verdicts[rule.clause, text],
            )  # fmt: skip
            shown += ranges or []
        if shown:
            return case, tuple(shown)
    whole = tuple(
        (start + a, start + b)
        for start, end in place.passages
        for a, b in quotes(document.text[start:end], ())
    )
    if not rule.cases:
        return Otherwise(outcome="ok", because="the clause is there"), whole
    return rule.otherwise, whole


def _verdicts(
    document: Document, rules: Sequence[Rule], locate: Callable[[str], Located], judge: Judge | None
) -> dict[tuple[str, str], Verdict]:
    """What the contradiction head says of every (clause, hypothesis) that the rules ask for, in one batch."""
    asked: dict[tuple[str, str], str] = {}
    for rule in rules:
        for case in rule.cases:
            place = locate(rule.clause)
            if case.when.hypothesis is not None and place.state == "present":
                text = "\n".join(document.text[start:end] for start, end in place.passages)
                asked[rule.clause, case.when.hypothesis.text] = text
    if not asked:
        return {}
    if judge is None:
        from doyen_legal.risk.nli import judge as shipped

        judge = shipped
    answers = judge([(text, hypothesis) for (_, hypothesis), text in asked.items()])
    return dict(zip(asked, answers, strict=True))


class _Maker:
    """Findings of one rule: what they have in common is said once."""

    def __init__(self, document: Document, playbook: Playbook, rule: Rule, side: str) -> None:
        self.document, self.rule_ = document, rule
        self.source = f"playbook:{playbook.name}@{playbook.version}"
        labels = playbook.locator(rule.clause).labels
        self.label = labels[0] if len(labels) == 1 else rule.clause.replace("_", " ").capitalize()
        self.id = f"{playbook.name}:{rule.id}"
        self.details: dict[str, Any] = {"clause": rule.clause, "side": side, "explanation": rule.explanation}
        self.details |= {
            key: text for key, text in (("preferred", rule.preferred), ("fallback", rule.fallback)) if text
        }

    def rule(
        self, outcome: Any, because: str, ranges: Sequence[Range], place: Located, severity: Any = None
    ) -> Finding:
        """The rule's outcome, with the first ranges as evidence."""
        return Finding(
            id=self.id, kind="rule", label=self.label, message=f"{self.rule_.title}: {because}.",
            evidence=[Evidence.of(self.document, *r) for r in ranges[:_MOST_QUOTES]],
            score=place.probability, severity="note" if outcome == "ok" else severity or self.rule_.severity,
            status=outcome, rule=self.rule_.id, source=self.source, details={**self.details, "because": because},
        )  # fmt: skip

    def missing(self, outcome: Any, because: str, presence: float | None) -> Finding:
        """The clause is not there; ``score`` is the probability of that, where the extractor was asked."""
        absent = self.rule_.absent
        severity = (absent.severity if absent else None) or self.rule_.severity
        return Finding(
            id=self.id, kind="missing", label=self.label, message=f"{self.rule_.title}: {because}.",
            score=None if presence is None else round(1 - presence, 4), severity=severity, status=outcome,
            rule=self.rule_.id, source=self.source, details={**self.details, "because": because},
        )  # fmt: skip

    def deviation(self, place: Located, finding: Finding) -> Finding | None:
        """The word diff against the preferred text, for the passage or sentence that is nearest to it.

        Wording that is not related to the preferred text at all has no diff that could be read: the finding of the
        rule proposes the text then. Of clauses that the rule accepts only those from the form are compared.
        """
        if not self.rule_.preferred:
            return None
        text = self.document.text
        ranges = {
            (start + a, start + b)
            for start, end in place.passages
            for a, b in [*split_sentences(text[start:end]), trimmed(text[start:end])]
        }
        found = [
            (compare(text[start:end], self.rule_.preferred), start, end) for start, end in sorted(ranges)
        ]
        result, start, end = max(found, key=lambda item: item[0].similarity)
        least = FROM_THE_FORM if finding.status == "ok" else RELATED
        if result.similarity < least or result.deleted == result.inserted == 0:
            return None
        return Finding(
            id=f"{self.id}:deviation", kind="deviation", label=self.label,
            message=f"{self.rule_.title}: {result.deleted} words to delete and {result.inserted} to insert for the "
            f"preferred text (similarity {result.similarity:.2f}).",
            evidence=[Evidence.of(self.document, start, end)], score=None, severity="note", status="info",
            rule=self.rule_.id, source=self.source,
            details={**self.details, "similarity": result.similarity, "ops": [list(op) for op in result.ops]},
        )  # fmt: skip
