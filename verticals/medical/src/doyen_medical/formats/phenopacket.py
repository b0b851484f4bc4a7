"""GA4GH phenopackets (ISO 4454:2022), schema versions 1 and 2, as protobuf JSON."""

from __future__ import annotations

import re
from typing import Any, Final

from doyen_medical.cases import Sex, years
from doyen_medical.formats.record import PatientRecord, checked_count, read_json
from doyen_schemas import DoyenError

_TERM: Final = re.compile(r"HP[:_](\d{7})")
_SEX: Final[dict[str, Sex]] = {"FEMALE": "F", "MALE": "M"}


def is_phenopacket(value: Any) -> bool:
    """Whether a JSON value looks like a phenopacket, or a family with a proband."""
    return isinstance(value, dict) and (
        "phenotypicFeatures" in value
        or "phenotypic_features" in value
        or "proband" in value
        or "phenopacket" in value
    )


def from_phenopacket(text: str) -> PatientRecord:
    """The patient of a phenopacket, or the proband of a family.

    Only ``subject`` (sex, age) and ``phenotypicFeatures`` are read: diseases and interpretations name the diagnosis.
    Raises MED-050 (no JSON), MED-051 (no phenopacket; a feature without an HPO id, with its place), MED-054, MED-055.
    """
    packet = packet_of(read_json(text))
    features = packet.get("phenotypicFeatures", packet.get("phenotypic_features", []))
    if not isinstance(features, list):
        raise _bad("phenotypicFeatures must be a list")
    observed: list[str] = []
    excluded: list[str] = []
    for place, feature in enumerate(features):
        kind = feature.get("type") if isinstance(feature, dict) else None
        term = _TERM.fullmatch(str(kind.get("id"))) if isinstance(kind, dict) else None
        if term is None:
            raise _bad(f"phenotypicFeatures[{place}].type.id must be an HPO id such as HP:0001250")
        absent = feature.get("excluded", feature.get("negated", False))
        if not isinstance(absent, bool):
            raise _bad(f"phenotypicFeatures[{place}].excluded must be true or false")
        (excluded if absent else observed).append(f"HP:{term[1]}")
    subject = packet.get("subject") or {}
    if not isinstance(subject, dict):
        raise _bad("subject must be an object")
    once = checked_count(observed, excluded)
    return PatientRecord(
        id=str(packet.get("id") or subject.get("id") or ""),
        source="phenopacket",
        observed=once[0],
        excluded=once[1],
        sex=_SEX.get(str(subject.get("sex", "")).upper(), ""),
        age=_age(subject),
    )


def packet_of(value: Any) -> dict[str, Any]:
    """The phenopacket of a JSON value, out of a wrapper or a family. Raises MED-051."""
    for wrapper in ("phenopacket", "proband"):
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    if not isinstance(value, dict) or not is_phenopacket(value):
        raise _bad("it must be an object with phenotypicFeatures")
    packet: dict[str, Any] = value
    return packet


def _age(subject: dict[str, Any]) -> float | None:
    """Version 2 ``timeAtLastEncounter``, version 1 ``ageAtCollection``; of a range its start."""
    for name in (
        "timeAtLastEncounter",
        "time_at_last_encounter",
        "ageAtCollection",
        "age_at_collection",
        "age",
    ):
        found = _duration(subject.get(name), 0)
        if found is not None:
            return found
    return None


def _duration(value: Any, depth: int) -> float | None:
    if isinstance(value, str):
        return years(value)
    if not isinstance(value, dict) or depth > 3:
        return None
    for name in ("iso8601duration", "age", "ageRange", "age_range", "start"):
        found = _duration(value.get(name), depth + 1)
        if found is not None:
            return found
    return None


def _bad(rule: str) -> DoyenError:
    return DoyenError(
        "MED-051", f"the phenopacket cannot be read: {rule}.", "See the GA4GH phenopacket schema, 1 or 2."
    )
