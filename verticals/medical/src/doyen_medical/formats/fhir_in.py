"""FHIR R4 bundles: a Patient, Observations with presence or absence, Conditions; HPO codings only.

Follows HL7's phenomics exchange guide (1.0.0-ballot): an Observation whose code is the HPO term and whose value says
present or absent, or whose value is the term; a Condition whose code is the term.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final, Literal

from doyen_medical.cases import Sex
from doyen_medical.formats.record import PatientRecord, checked_count, read_json
from doyen_schemas import DoyenError

_TERM: Final = re.compile(r"(?:.*/)?HP[:_](\d{7})")
_SEX: Final[dict[str, Sex]] = {"female": "F", "male": "M"}
_PRESENT: Final = frozenset(
    {"LA9633-4", "52101004", "POS", "Y", "present", "LA33-6", "373066001", "10828004"}
)
_ABSENT: Final = frozenset({"LA9634-2", "2667000", "NEG", "N", "absent", "LA32-8", "373067005", "260385009"})
"""Codes of LOINC, SNOMED CT and HL7 v2 for present, positive, yes and for absent, negative, no."""
_VOID: Final = frozenset({"entered-in-error", "cancelled"})
_UNSURE: Final = frozenset({"unconfirmed", "provisional", "differential"})

Presence = Literal["observed", "excluded", "uncertain"]


def is_fhir(value: Any) -> bool:
    """Whether a JSON value is a FHIR resource."""
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def from_fhir_bundle(text: str) -> PatientRecord:
    """The patient of an R4 Bundle.

    Raises MED-050 (no JSON), MED-052 (no Bundle, several patients, malformed), MED-053 (no HPO coding), MED-054, MED-055.
    """
    bundle = read_json(text)
    if (
        not is_fhir(bundle)
        or bundle["resourceType"] != "Bundle"
        or not isinstance(bundle.get("entry", []), list)
    ):
        raise _bad("it must be a Bundle with a list of entries")
    resources = [
        entry["resource"]
        for entry in bundle.get("entry", [])
        if isinstance(entry, dict) and is_fhir(entry.get("resource"))
    ]
    patients = [resource for resource in resources if resource["resourceType"] == "Patient"]
    if len(patients) > 1:
        raise _bad(f"it has {len(patients)} Patient resources; a bundle is one patient's")
    found: dict[Presence, list[str]] = {"observed": [], "excluded": [], "uncertain": []}
    dates = [str(bundle.get("timestamp", ""))]
    for resource in resources:
        for id, presence in _findings(resource):
            found[presence].append(id)
        dates.append(str(resource.get("effectiveDateTime", resource.get("recordedDate", ""))))
    if not any(found.values()):
        raise DoyenError(
            "MED-053",
            f"none of the bundle's {len(resources)} resources has an HPO coding.",
            "Code the findings in HPO, or give the note as text.",
        )
    once = checked_count(found["observed"], found["excluded"])
    patient = patients[0] if patients else {}
    return PatientRecord(
        id=str(patient.get("id") or bundle.get("id") or ""),
        source="fhir",
        observed=once[0],
        excluded=once[1],
        sex=_SEX.get(str(patient.get("gender", "")), ""),
        age=_age(str(patient.get("birthDate", "")), dates),
        uncertain=len(set(found["uncertain"])),
    )


def _findings(resource: dict[str, Any]) -> Iterator[tuple[str, Presence]]:
    if resource["resourceType"] == "Observation" and str(resource.get("status")) not in _VOID:
        yield from _observation(resource)
        components = resource.get("component", [])
        for component in components if isinstance(components, list) else []:
            if isinstance(component, dict):
                yield from _observation(component)
    elif resource["resourceType"] == "Condition":
        yield from _condition(resource)


def _observation(part: dict[str, Any]) -> Iterator[tuple[str, Presence]]:
    named = list(_terms(part.get("code")))
    values = list(_terms(part.get("valueCodeableConcept")))
    presence = _presence(part)
    for id in named:
        yield id, presence
    for id in values:
        yield id, "observed" if named == [] else presence


def _presence(part: dict[str, Any]) -> Presence:
    """A term without a value is observed; a missing answer is none."""
    if "dataAbsentReason" in part:
        return "uncertain"
    if isinstance(part.get("valueBoolean"), bool):
        return "observed" if part["valueBoolean"] else "excluded"
    interpretations = part.get("interpretation", [])
    for concept in [
        part.get("valueCodeableConcept"),
        *(interpretations if isinstance(interpretations, list) else []),
    ]:
        codes = {code for code in _codes(concept)}
        if codes & _ABSENT:
            return "excluded"
        if codes & _PRESENT:
            return "observed"
    text = part.get("valueString")
    if isinstance(text, str) and text.strip().lower() in ("absent", "no", "negative", "false"):
        return "excluded"
    return "observed"


def _condition(resource: dict[str, Any]) -> Iterator[tuple[str, Presence]]:
    verified = set(_codes(resource.get("verificationStatus")))
    if verified & _VOID:
        return
    presence: Presence = "observed"
    if "refuted" in verified:
        presence = "excluded"
    elif verified & _UNSURE:
        presence = "uncertain"
    for id in _terms(resource.get("code")):
        yield id, presence


def _codes(concept: Any) -> Iterator[str]:
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            yield coding["code"]


def _terms(concept: Any) -> Iterator[str]:
    for code in _codes(concept):
        if term := _TERM.fullmatch(code):
            yield f"HP:{term[1]}"


def _age(birth: str, dates: list[str]) -> float | None:
    """Years from birth to the last dated entry; None without both: today is not in the file."""
    born = _day(birth)
    seen = [day for day in map(_day, dates) if day is not None]
    if born is None or not seen or max(seen) < born:
        return None
    return round((max(seen) - born).days / 365.25, 2)


def _day(text: str) -> date | None:
    parts = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", text)
    if parts is None:
        return None
    try:
        return date(int(parts[1]), int(parts[2] or 7), int(parts[3] or 1))
    except ValueError:
        return None


def _bad(rule: str) -> DoyenError:
    return DoyenError(
        "MED-052", f"the FHIR file cannot be read: {rule}.", "Give an R4 Bundle of one patient as JSON."
    )
