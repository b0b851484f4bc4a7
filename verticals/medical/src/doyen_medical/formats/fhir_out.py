"""A ranking as FHIR R4: a Bundle with a DiagnosticReport, provisional Conditions, and the findings as Observations.

The first candidates become Conditions with verificationStatus *provisional*: proposals to a clinician, who confirms
or refutes. An abstention gives a report without Conditions that says why. R4 4.0.1.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from doyen_medical.cases import Sex
from doyen_medical.formats.record import PatientRecord

if TYPE_CHECKING:
    from doyen_medical.report.model import MedicalReport

SYSTEMS: Final = {
    "OMIM": "http://www.omim.org",
    "ORPHA": "http://www.orpha.net",
    "MONDO": "http://purl.obolibrary.org/obo/mondo.owl",
    "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD-10": "http://hl7.org/fhir/sid/icd-10",
    "ICD-11": "http://id.who.int/icd/entity",
    "SNOMED": "http://snomed.info/sct",
    "HPO": "http://human-phenotype-ontology.org",
}
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
_SPACE: Final = uuid.UUID("6f1c4a52-0f5e-5b0a-9f0e-2d5a5f0b7c11")
_SEX: Final[dict[str, Sex]] = {"F": "F", "M": "M"}
_GENDER: Final = {"F": "female", "M": "male"}
_ORIGIN: Final = "urn:doyen:medical:"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ranked disease: its code (``OMIM:…``), name, probability, the findings that support it, other codes.

    ``codes`` are (system, code, label, relation: exact, broader or narrower); an inexact one is marked, since it says more or less than the disease.
    """

    code: str
    name: str
    probability: float
    supporting: tuple[str, ...] = ()
    codes: tuple[tuple[str, str, str, str], ...] = ()


def to_fhir(
    record: PatientRecord,
    candidates: Sequence[Candidate],
    *,
    labels: dict[str, str],
    knowledge_version: str,
    issued: str,
    abstained: str = "",
    subject: str = "",
) -> dict[str, Any]:
    """The bundle of a ranking, the same for the same input.

    ``labels`` name the HPO ids; ``issued`` is a FHIR instant; ``abstained`` is the reason of an abstention, empty
    otherwise; ``subject`` a reference to the hospital's Patient, such as ``Patient/123``; without it the bundle has a
    Patient of its own with sex alone.
    """
    entries: list[dict[str, Any]] = []
    reference = subject
    if not reference:
        patient: dict[str, Any] = {"resourceType": "Patient"}
        if record.sex:
            patient["gender"] = _GENDER[record.sex]
        reference = _add(entries, patient, record.id, "patient")
    seen = {
        id: _add(entries, _observation(id, labels, present, reference), record.id, id)
        for present, ids in ((True, record.observed), (False, record.excluded))
        for id in ids
    }
    shown = [] if abstained else list(candidates)
    conditions = [_condition(candidate, reference, issued, seen) for candidate in shown]
    references = [
        _add(entries, condition, record.id, candidate.code)
        for candidate, condition in zip(shown, conditions, strict=True)
    ]
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "category": [{"coding": [{"system": _TERMINOLOGY + "v2-0074", "code": "GE", "display": "Genetics"}]}],
        "code": {"text": "Ranked differential of rare diseases by phenotype"},
        "subject": {"reference": reference},
        "issued": issued,
        "conclusion": _conclusion(shown, abstained, knowledge_version),
    }
    if shown:
        report["conclusionCode"] = [condition["code"] for condition in conditions]
        report["extension"] = [
            {"url": _ORIGIN + "proposed-condition", "valueReference": {"reference": name}}
            for name in references
        ]
    if seen:
        report["result"] = [{"reference": name} for name in seen.values()]
    _add(entries, report, record.id, "report")
    return {"resourceType": "Bundle", "type": "collection", "timestamp": issued, "entry": entries}


def _conclusion(candidates: Sequence[Candidate], abstained: str, version: str) -> str:
    if abstained:
        return f"No ranking is given: {abstained} Knowledge {version}. Decision support; a clinician decides."
    ranks = "; ".join(
        f"{rank}. {c.name} ({c.code}, {c.probability:.0%})" for rank, c in enumerate(candidates, start=1)
    )
    return f"Proposals, not diagnoses: {ranks or 'none'}. Knowledge {version}. Decision support; a clinician decides."


def _observation(id: str, labels: dict[str, str], present: bool, subject: str) -> dict[str, Any]:
    code = ("LA9633-4", "Present") if present else ("LA9634-2", "Absent")
    return {
        "resourceType": "Observation",
        "status": "preliminary",
        "code": {"coding": [_coding("HPO", id, labels.get(id, ""))]},
        "subject": {"reference": subject},
        "valueCodeableConcept": {
            "coding": [{"system": "http://loinc.org", "code": code[0], "display": code[1]}]
        },
    }


def _condition(candidate: Candidate, subject: str, issued: str, seen: dict[str, str]) -> dict[str, Any]:
    codings = [_coding(candidate.code.split(":", 1)[0], candidate.code, candidate.name)]
    for system, code, label, relation in candidate.codes:
        coding = _coding(system, code, label)
        if relation != "exact":
            coding["extension"] = [{"url": _ORIGIN + "code-relation", "valueCode": relation}]
        codings.append(coding)
    evidence = [{"detail": [{"reference": seen[id]}]} for id in candidate.supporting if id in seen]
    condition: dict[str, Any] = {
        "resourceType": "Condition",
        "verificationStatus": {
            "coding": [{"system": _TERMINOLOGY + "condition-ver-status", "code": "provisional"}]
        },
        "clinicalStatus": {"coding": [{"system": _TERMINOLOGY + "condition-clinical", "code": "active"}]},
        "code": {"coding": codings, "text": candidate.name},
        "subject": {"reference": subject},
        "recordedDate": issued,
        "extension": [{"url": _ORIGIN + "probability", "valueDecimal": round(candidate.probability, 4)}],
    }
    if evidence:
        condition["evidence"] = evidence
    return condition


def _coding(system: str, code: str, display: str) -> dict[str, Any]:
    """OMIM's and Orphanet's codes are bare numbers in their systems; HPO's and MONDO's keep their prefix."""
    bare = code.split(":", 1)[1] if system in ("OMIM", "ORPHA") and ":" in code else code
    coding: dict[str, Any] = {"system": SYSTEMS.get(system, _ORIGIN + system), "code": bare}
    if display:
        coding["display"] = display
    return coding


def _add(entries: list[dict[str, Any]], resource: dict[str, Any], patient: str, name: str) -> str:
    """Adds a resource under a name that its content fixes, so that the same input gives the same bundle."""
    url = uuid.uuid5(_SPACE, f"{patient}\n{resource['resourceType']}\n{name}").urn
    entries.append({"fullUrl": url, "resource": resource})
    return url


def fhir_of_report(report: MedicalReport, subject: str = "") -> dict[str, Any]:
    """The FHIR bundle of a report, its candidates in the report's order."""
    patient = report.patient
    record = PatientRecord(
        id=report.input_sha256, source="terms",
        observed=tuple(term.id for term in patient.observed), excluded=tuple(term.id for term in patient.excluded),
        sex=_SEX.get(patient.sex, ""),
    )  # fmt: skip
    candidates = [
        Candidate(
            candidate.code, candidate.name, candidate.probability,
            tuple(weight.finding.id for weight in candidate.evidence if weight.role == "supports" and weight.observed),
            tuple((c.system, c.code, c.label, c.relation) for c in candidate.codes if c.code != candidate.code),
        )
        for candidate in report.candidates
    ]  # fmt: skip
    return to_fhir(
        record, candidates,
        labels={term.id: term.label for term in (*patient.observed, *patient.excluded)},
        knowledge_version=report.knowledge_version, issued=report.created,
        abstained=report.abstained.message if report.abstained else "", subject=subject,
    )  # fmt: skip
