"""Reports for the tests: one with everything in it, and one that abstains."""

from __future__ import annotations

from doyen_medical.report import (
    Abstention,
    Candidate,
    Code,
    MedicalReport,
    Notice,
    Patient,
    Question,
    Quote,
    Statement,
    Term,
    Weight,
)
from doyen_medical.report.complete import complete
from doyen_schemas import DocumentInfo, Stage

SEIZURE = Term(id="HP:0001250", label="Seizure", label_zh="癫痫发作")
SMALL_HEAD = Term(id="HP:0000252", label="Microcephaly", label_zh="小头畸形")
DEAF = Term(id="HP:0000365", label="Hearing impairment")
SPASM = Term(id="HP:0011097", label="Epileptic spasm")


def weight(finding: Term, role: str, log10: float, *, observed: bool = True, by: Term | None = None,
           share: float | None = None, patients: int = 0, examined: int = 0,
           sources: tuple[str, ...] = ()) -> Weight:  # fmt: skip
    return Weight.model_validate({
        "finding": finding, "observed": observed, "role": role, "log10_ratio": log10, "by": by, "share": share,
        "patients": patients, "examined": examined, "sources": list(sources),
    })  # fmt: skip


def candidate(
    rank: int, code: str, name: str, probability: float, weights: list[Weight], **more: object
) -> Candidate:
    return Candidate.model_validate({
        "rank": rank, "code": code, "name": name, "probability": probability, "basis": "patients-and-literature",
        "published_patients": 12, "annotated_findings": 34, "genes": ["CDKL5"], "codes": [], "evidence": weights,
        "unexplained": [w.finding for w in weights if w.role == "unexplained"], **more,
    })  # fmt: skip


def report(**more: object) -> MedicalReport:
    """A report with two candidates, notices, quotes, questions and statements."""
    first = [
        weight(SEIZURE, "supports", 1.3, by=SPASM, share=0.8, patients=9, examined=12,
               sources=("PMID:30842224", "PMID:1", "OMIM:300672")),
        weight(DEAF, "contradicts", -0.7, observed=False, share=0.75, sources=("PMID:2",)),
        weight(SMALL_HEAD, "unexplained", -1.301),
    ]  # fmt: skip
    second = [weight(SEIZURE, "supports", 0.4, share=0.3, sources=("PMID:10", "ORPHA:778"))]
    made = {
        "created": "2026-01-02T03:04:05+00:00",
        "document": DocumentInfo(
            name="patient.json", sha256="a" * 64, media_type="application/json", pages=0, characters=900
        ),
        "input_sha256": "b" * 64,
        "patient": Patient(
            source="note", sex="F", age_years=2.5, observed=[SEIZURE, SMALL_HEAD], excluded=[DEAF],
            notices=[Notice(kind="obsolete", id="HP:0000057", other="HP:0001250", done="replaced")],
            quotes=[
                Quote(id="HP:0001250", start=10, end=18, quote="seizures", status="observed", family=False,
                      historical=False),
                Quote(id="HP:0000365", start=40, end=48, quote="deafness", status="observed", family=True,
                      historical=False),
            ],
        ),
        "abstained": None,
        "candidates": [
            candidate(1, "OMIM:300672", "CDKL5 disorder", 0.62, first, name_zh="早期婴幼儿癫痫性脑病2", codes=[
                Code(system="OMIM", code="OMIM:300672", label="", relation="exact"),
                Code(system="ICD-10-CM", code="G40", label="Epilepsy", relation="broader"),
            ]),
            candidate(2, "ORPHA:778", "Rett syndrome", 0.1, second),
        ],
        "other_probability": 0.28,
        "questions": [Question(finding=SPASM, gain_bits=0.31, raises=["OMIM:300672"], lowers=["ORPHA:778"])],
        "statements": [Statement(candidate="OMIM:300672", text="Seizures begin early.", citations=["PMID:1"])],
        "absent_code_systems": ["ICD-11"],
        "stages": [Stage(name="rank", state="ran"), Stage(name="llm", state="absent", reason="no base model")],
        "knowledge_version": "hpo-2025-01-16+12345678",
        "versions": {"doyen-medical": "0.1.0", "adapter": "ranker 0.1.0", "adapter_digest": "c" * 64},
    }  # fmt: skip
    return complete(MedicalReport.model_validate(made | more))


def abstaining(**more: object) -> MedicalReport:
    """The same with an abstention."""
    return report(abstained=Abstention(reason="out-of-reach", message="Out of reach."), **more)
