"""FHIR R4 bundles: a Patient, Observations with presence or absence, Conditions; HPO codings only.

Follows HL7's phenomics exchange guide (1.0.0-ballot): an Observation whose code is the HPO term and whose value says
present or absent, or whose value is the term; a Condition whose code is the term.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from doyen_medical.cases import Sex
from doyen_medical.formats.record import PatientRecord, Presence, checked_count, read_json
from doyen_schemas import DoyenError

_TERM: Final = re.compile(r"(?:.*/)?HP[:_](\d{7})")
_SEX: Final[dict[str, Sex]] = {"female": "F", "male": "M"}
_PRESENT: Final = frozenset(
    {
        "LA9633-4",
        "52101004",
        "POS",
        "Y",
        "present",
        "LA33-6",
        "373066001",
        "10828004",
        "410605003",
        "confirmed",
    }
)
_ABSENT: Final = frozenset(
    {"LA9634-2", "2667000", "NEG", "N", "absent", "LA32-8", "373067005", "260385009", "410516002", "refuted"}
)
"""Codes of LOINC, SNOMED CT and HL7 for present, positive, yes, confirmed and for absent, negative, no, refuted."""
_PRESENT_WORDS: Final = frozenset({"present", "yes", "positive", "true", "observed", "confirmed"})
_ABSENT_WORDS: Final = frozenset(
    {"absent", "no", "negative", "false", "not present", "not observed", "excluded", "refuted", "none"}
)
_VOID: Final = frozenset({"entered-in-error", "cancelled"})


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
    own = _own_references(bundle.get("entry", []), resources)
    foreign = 0
    for resource in resources:
        if resource["resourceType"] not in ("Observation", "Condition"):
            continue
        if not _is_own(resource, own):
            foreign += 1
            continue
        for id, presence in _findings(resource):
            found[presence].append(id)
        dates.append(str(resource.get("effectiveDateTime", resource.get("recordedDate", ""))))
    if not any(found.values()):
        raise DoyenError(
            "MED-053",
            f"none of the bundle's {len(resources)} resources has an HPO coding ({foreign} speak of somebody else).",
            "Code the findings in HPO, or give the note as text.",
        )
    once = checked_count(found["observed"], found["excluded"], found["uncertain"])
    patient = patients[0] if patients else {}
    return PatientRecord(
        id=str(patient.get("id") or bundle.get("id") or ""),
        source="fhir",
        observed=once[0],
        excluded=once[1],
        sex=_SEX.get(str(patient.get("gender", "")), ""),
        age=_age(str(patient.get("birthDate", "")), dates),
        uncertain=once[2],
        foreign=foreign,
    )


def _own_references(entries: list[Any], resources: list[dict[str, Any]]) -> set[str]:
    """How resources may refer to the bundle's patient; without a Patient, the one subject that they share.

    Raises MED-052 when they then have several.
    """
    own: set[str] = set()
    patients = 0
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == "Patient":
            patients += 1
            own |= {str(entry["fullUrl"])} if entry.get("fullUrl") else set()
            own |= {f"Patient/{resource['id']}"} if resource.get("id") else set()
            identifiers = resource.get("identifier")
            own |= {
                f"identifier {i}"
                for i in map(_identifier, identifiers if isinstance(identifiers, list) else [])
                if i
            }
    if patients and own:
        return own
    named = {
        name
        for resource in resources
        if resource["resourceType"] in ("Observation", "Condition")
        and (name := _named(resource.get("subject")))
    }
    if len(named) > 1:
        raise _bad(f"its entries have {len(named)} different subjects; a bundle is one patient's")
    return named


def _is_own(resource: dict[str, Any], own: set[str]) -> bool:
    """Whether a resource speaks of the patient: by its subject, and by ``focus``, which names a donor or a fetus."""
    focus = resource.get("focus")
    for reference in [resource.get("subject"), *(focus if isinstance(focus, list) else [focus])]:
        name = _named(reference)
        if name and name not in own and "Patient/" + name.rpartition("/Patient/")[2] not in own:
            return False
    return True


def _named(reference: Any) -> str:
    """What a reference names: its target without a version, else its identifier; empty where it has a text alone."""
    if reference is None:
        return ""
    if not isinstance(reference, dict):
        return "malformed"
    if reference.get("reference"):
        return str(reference["reference"]).partition("/_history/")[0]
    identifier = _identifier(reference.get("identifier"))
    return f"identifier {identifier}" if identifier else ""


def _identifier(value: Any) -> str:
    return f"{value.get('system', '')}|{value.get('value', '')}" if isinstance(value, dict) else ""


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
    presence = _presence(part)
    for id in (*_terms(part.get("code")), *_terms(part.get("valueCodeableConcept"))):
        yield id, presence


def _presence(part: dict[str, Any]) -> Presence:
    """A term without a value is observed; a value or interpretation that is not known to say so is uncertain."""
    if "dataAbsentReason" in part:
        return "uncertain"
    interpretations = part.get("interpretation", [])
    said = {
        _said(concept)
        for concept in (interpretations if isinstance(interpretations, list) else [interpretations])
    }
    for name, value in part.items():
        if name == "valueBoolean" and isinstance(value, bool):
            said.add("observed" if value else "excluded")
        elif name == "valueCodeableConcept":
            said.add("observed" if any(_terms(value)) else _said(value))
        elif name == "valueString":
            said.add(_word(value))
        elif name.startswith("value"):
            said.add("uncertain")
    if said == {"observed", "excluded"} and any(_terms(part.get("valueCodeableConcept"))):
        return "excluded"
    return said.pop() if len(said) == 1 else "uncertain" if said else "observed"


def _said(concept: Any) -> Presence:
    """What the codes of a concept say, or its text where it has none."""
    codes = set(_codes(concept))
    if not codes:
        return _word(concept.get("text") if isinstance(concept, dict) else None)
    if codes & _ABSENT:
        return "uncertain" if codes & _PRESENT else "excluded"
    return "observed" if codes & _PRESENT else "uncertain"


def _word(text: Any) -> Presence:
    word = " ".join(text.lower().split()).strip(".") if isinstance(text, str) else ""
    return "observed" if word in _PRESENT_WORDS else "excluded" if word in _ABSENT_WORDS else "uncertain"


def _condition(resource: dict[str, Any]) -> Iterator[tuple[str, Presence]]:
    """Without a verification status it is there; a status other than confirmed or refuted is uncertain."""
    status = resource.get("verificationStatus")
    if set(_codes(status)) & _VOID:
        return
    presence: Presence = "observed" if status is None else _said(status)
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
