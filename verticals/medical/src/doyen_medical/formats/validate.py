"""Checks of a patient's ids against the ontology: obsolete, unknown, of another branch, contradictory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from doyen_medical.cases import OLDEST, Patient, known_terms
from doyen_medical.formats.record import PatientRecord, checked_count
from doyen_medical.knowledge.ontology import Ontology
from doyen_schemas import DoyenError

Profile = Literal["fail", "fix", "warn"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What was wrong with an id and what was done; ``other`` is the new id, or the finding that contradicts."""

    kind: Literal["obsolete", "unknown", "not-a-finding", "contradiction"]
    id: str
    other: str
    done: Literal["replaced", "left out", "kept"]


def validate(
    record: PatientRecord, ontology: Ontology, profile: Profile = "fix"
) -> tuple[PatientRecord, tuple[Notice, ...]]:
    """The record with ids of this ontology, and what was found.

    Obsolete and alternative ids become those that replace them; what is unknown or no finding (an onset, a mode of
    inheritance) is left out. A finding observed whose ancestor, or which itself, is excluded contradicts it: ``fix``
    drops the exclusion, ``warn`` keeps both. ``fail`` raises MED-058 with all of it. Raises MED-054 when nothing
    observed is left, and MED-049 for a sex or an age that no person has.
    """
    _check_person(record)
    notices: list[Notice] = []
    observed = list(_current(record.observed, ontology, notices))
    excluded = list(_current(record.excluded, ontology, notices))
    implied = {ontology.ids[a]: id for id in observed for a in ontology.ancestors(ontology.number[id])}
    done: Literal["left out", "kept"] = "left out" if profile == "fix" else "kept"
    for id in excluded:
        if id in implied:
            notices.append(Notice("contradiction", id, implied[id], done))
    if profile == "fail" and notices:
        raise DoyenError(
            "MED-058",
            "the patient's findings have "
            + "; ".join(
                f"{notice.kind} {notice.id}" + (f" ({notice.other})" if notice.other else "")
                for notice in notices[:20]
            )
            + ".",
            "Correct them, or choose the profile fix or warn.",
        )
    if profile == "fix":
        excluded = [id for id in excluded if id not in implied]
    once = checked_count(observed, excluded, _current(record.uncertain, ontology, notices))
    return replace(record, observed=once[0], excluded=once[1], uncertain=once[2]), tuple(notices)


def _check_person(record: PatientRecord) -> None:
    if record.sex not in ("M", "F", ""):
        raise DoyenError("MED-049", "the sex is none of M, F and empty.", "Write M or F, or leave it out.")
    age = record.age
    if age is not None and not (isinstance(age, int | float) and 0 <= age <= OLDEST):
        raise DoyenError(
            "MED-049", f"the age is not between 0 and {OLDEST:.0f} years.", "Give years, or leave it out."
        )


def _current(ids: Iterable[str], ontology: Ontology, notices: list[Notice]) -> Iterable[str]:
    for id in ids:
        now = ontology.obsolete.get(id) or id
        term = ontology.number.get(now)
        if term is None:
            notices.append(Notice("obsolete" if id in ontology.obsolete else "unknown", id, "", "left out"))
        elif not ontology.phenotypic[term]:
            notices.append(Notice("not-a-finding", id, "", "left out"))
        else:
            if ontology.ids[term] != id:
                notices.append(Notice("obsolete", id, ontology.ids[term], "replaced"))
            yield ontology.ids[term]


def patient_of(record: PatientRecord, ontology: Ontology) -> Patient:
    """What a ranking may see: observed findings, sex, age. Excluded ones leak the diagnosis and stay out."""
    return Patient(known_terms(record.observed, ontology), record.sex, record.age)
