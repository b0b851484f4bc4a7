"""A ranking as a FHIR R4 bundle, held against R4's own rules for these resources."""

from __future__ import annotations

import json
import re
from typing import Any

from doyen_medical.formats.fhir_in import from_fhir_bundle
from doyen_medical.formats.fhir_out import Candidate, fhir_of_report, to_fhir
from doyen_medical.formats.record import PatientRecord
from doyen_medical.report.model import Abstention, Code, MedicalReport, Patient, Term, Weight
from doyen_medical.report.model import Candidate as RankedDisease

RECORD = PatientRecord("p", "phenopacket", ("HP:0001250", "HP:0000252"), ("HP:0000365",), "F", 2.0)
CANDIDATES = [
    Candidate("OMIM:300672", "CDKL5 disorder", 0.62345, ("HP:0001250",),
              (("MONDO", "MONDO:0010396", "CDKL5", "exact"), ("ICD-10-CM", "G40", "Epilepsy", "broader"))),
    Candidate("ORPHA:778", "Rett syndrome", 0.1),
]  # fmt: skip
LABELS = {"HP:0001250": "Seizure", "HP:0000252": "Microcephaly", "HP:0000365": "Hearing impairment"}


def made(**rest: Any) -> dict[str, Any]:
    options = {"labels": LABELS, "knowledge_version": "hpo-1", "issued": "2026-01-02T03:04:05Z"} | rest
    return to_fhir(RECORD, CANDIDATES, **options)


# Required elements and allowed codes of R4 4.0.1, as its definitions of the resources state them.
REQUIRED = {
    "Patient": set(),
    "Observation": {"status", "code"},
    "Condition": {"subject"},
    "DiagnosticReport": {"status", "code"},
}
ALLOWED = {
    "Patient": {"gender"},
    "Observation": {"status", "code", "subject", "valueCodeableConcept"},
    "Condition": {"extension", "clinicalStatus", "verificationStatus", "code", "subject", "recordedDate", "evidence"},
    "DiagnosticReport": {"extension", "status", "category", "code", "subject", "issued", "result", "conclusion",
                         "conclusionCode"},
}  # fmt: skip
STATUS = {"Observation": {"preliminary", "final"}, "DiagnosticReport": {"preliminary", "partial", "final"}}


def check_r4(bundle: dict[str, Any]) -> None:
    assert bundle["resourceType"] == "Bundle"
    assert bundle["type"] == "collection"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", bundle["timestamp"])
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    for entry in bundle["entry"]:
        resource = dict(entry["resource"])
        kind = resource.pop("resourceType")
        assert REQUIRED[kind] <= resource.keys() <= ALLOWED[kind]
        assert resource.get("status") in STATUS.get(kind, {None})
        for reference in re.findall(r'"reference": "([^"]+)"', json.dumps(resource)):
            assert reference in urls or reference.startswith("Patient/")
        assert all(value not in ("", [], {}, None) for value in walk(resource))


def walk(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for part in inside for found in walk(part))]


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def test_a_ranking_is_r4() -> None:
    bundle = made()
    check_r4(bundle)
    first, second = of_kind(bundle, "Condition")
    assert first["verificationStatus"]["coding"][0]["code"] == "provisional"
    assert first["code"]["coding"][0] == {
        "system": "http://www.omim.org",
        "code": "300672",
        "display": "CDKL5 disorder",
    }
    assert first["code"]["coding"][2]["extension"][0]["valueCode"] == "broader"
    assert first["extension"][0]["valueDecimal"] == 0.6234
    assert len(first["evidence"]) == 1
    assert "evidence" not in second
    (report,) = of_kind(bundle, "DiagnosticReport")
    assert len(report["result"]) == 3
    assert "not diagnoses: 1. CDKL5 disorder (OMIM:300672, 62%)" in report["conclusion"]
    assert made() == bundle


def test_an_abstention_proposes_nothing() -> None:
    bundle = made(abstained="The findings fit no annotated disease.", subject="Patient/123")
    check_r4(bundle)
    assert of_kind(bundle, "Condition") == of_kind(bundle, "Patient") == []
    (report,) = of_kind(bundle, "DiagnosticReport")
    assert report["conclusion"].startswith("No ranking is given: The findings fit no annotated disease.")
    assert "conclusionCode" not in report
    assert report["subject"] == {"reference": "Patient/123"}


def test_the_findings_come_back() -> None:
    again = from_fhir_bundle(json.dumps(made()))
    assert (again.observed, again.excluded, again.sex) == (RECORD.observed, RECORD.excluded, "F")


def test_a_report_is_a_bundle() -> None:
    def term(id: str) -> Term:
        return Term(id=id, label=LABELS[id])

    def weight(id: str, role: str, observed: bool) -> Weight:
        return Weight.model_validate(
            {"finding": term(id), "observed": observed, "role": role, "log10_ratio": 1.0, "by": None, "share": None,
             "patients": 0, "examined": 0, "sources": []}
        )  # fmt: skip

    report = MedicalReport(
        created="2026-01-02T03:04:05+00:00", input_sha256="ab",
        patient=Patient(source="terms", sex="M", age_years=None, observed=[term("HP:0001250")],
                        excluded=[term("HP:0000365")], notices=[], quotes=[]),
        abstained=None,
        candidates=[
            RankedDisease(rank=1, code="OMIM:300672", name="CDKL5 disorder", probability=0.6, basis="literature",
                          published_patients=0, annotated_findings=3, genes=[],
                          codes=[Code(system="MONDO", code="MONDO:1", label="", relation="exact")],
                          evidence=[weight("HP:0001250", "supports", True), weight("HP:0000365", "contradicts", False)],
                          unexplained=[])
        ],
        other_probability=0.4, questions=[], absent_code_systems=[], knowledge_version="hpo-1",
    )  # fmt: skip
    bundle = fhir_of_report(report)
    check_r4(bundle)
    (condition,) = of_kind(bundle, "Condition")
    assert [coding["code"] for coding in condition["code"]["coding"]] == ["300672", "MONDO:1"]
    assert len(condition["evidence"]) == 1
    assert of_kind(bundle, "Patient") == [{"resourceType": "Patient", "gender": "male"}]
    assert fhir_of_report(report) == bundle
    refused = report.model_copy(
        update={"abstained": Abstention(reason="unannotated", message="Nothing fits.")}
    )
    assert of_kind(fhir_of_report(refused), "Condition") == []
