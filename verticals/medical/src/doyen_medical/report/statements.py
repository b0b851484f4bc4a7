"""Statements from retrieved passages into a report: each was checked by code against its passages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from doyen_medical.report.complete import complete
from doyen_medical.report.model import MedicalReport, Statement
from doyen_schemas import DoyenError, Stage

if TYPE_CHECKING:
    from doyen_medical.evidence.library import Evidence

FIRST: Final = 3
"""Candidates that get statements."""


def with_statements(report: MedicalReport, evidence: Evidence) -> MedicalReport:
    """The report with what sources say of the first candidates and the findings that support them.

    A disease known from published patients alone has no passages and gets no statement.
    """
    from doyen_medical.evidence.statements import evidence_for

    made: list[Statement] = []
    counts: dict[str, int] = {}
    for candidate in report.candidates[:FIRST]:
        findings = [w.finding.id for w in candidate.evidence if w.role == "supports" and w.observed]
        try:
            found = evidence_for(candidate.code, findings, evidence)
        except DoyenError as error:
            if error.code != "MED-061":
                raise
            continue
        for name, count in found.counts.items():
            counts[name] = counts.get(name, 0) + count
        made += [
            Statement(
                candidate=candidate.code, text=s.text, citations=list(s.citations), passages=list(s.passages)
            )
            for s in found.statements
        ]
    stages = [stage for stage in report.stages if stage.name != "evidence"]
    stages.append(Stage(name="evidence", state="ran", counts=counts))
    return complete(report.model_copy(update={"statements": made, "stages": stages}))
