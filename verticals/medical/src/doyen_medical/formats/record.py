"""A patient as read from a file: what every format gives, before it is checked against the ontology."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from doyen_medical.cases import Sex
from doyen_schemas import DoyenError

Source = Literal["phenopacket", "fhir", "terms", "note"]
Status = Literal["observed", "excluded", "hypothetical"]
Presence = Literal["observed", "excluded", "uncertain"]

MOST_CHARACTERS: Final = 10_000_000
MOST_TERMS: Final = 500


@dataclass(frozen=True, slots=True)
class Quote:
    """Where a note names a finding: ``note[start:end]``; the quote's personal data are placeholders."""

    id: str
    start: int
    end: int
    quote: str
    status: Status
    family: bool = False
    historical: bool = False


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """Ids of findings that were observed or excluded, as written, each once; sex; age in years.

    ``id`` is the file's own id of the patient or the document. Diagnoses and genes are never read: they would give
    the answer away. ``quotes`` are a note's mentions, with those that are hypothetical or the family's.
    ``uncertain`` are findings that were left out since their source does not say that they are there or absent;
    ``foreign`` counts entries that were left out since they speak of somebody else.
    """

    id: str
    source: Source
    observed: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    sex: Sex = ""
    age: float | None = None
    quotes: tuple[Quote, ...] = ()
    uncertain: tuple[str, ...] = ()
    foreign: int = 0


def read_json(text: str) -> Any:
    """JSON of at most 10 million characters. Raises MED-050 (no JSON, too long, too deep)."""
    if len(text) > MOST_CHARACTERS:
        raise DoyenError(
            "MED-050",
            f"the file has {len(text)} characters, more than {MOST_CHARACTERS}.",
            "Give one patient a file.",
        )
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DoyenError(
            "MED-050", f"the file is no JSON ({type(error).__name__}{where}).", "It must be a JSON object."
        ) from error


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def checked_count(
    observed: Iterable[str], excluded: Iterable[str], uncertain: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The ids, each once, in order; what is observed or excluded is not uncertain.

    Raises MED-054 (none observed) and MED-055 (more than 500).
    """
    found, absent = tuple(dict.fromkeys(observed)), tuple(dict.fromkeys(excluded))
    known = {*found, *absent}
    unsure = tuple(id for id in dict.fromkeys(uncertain) if id not in known)
    if not found:
        raise DoyenError(
            "MED-054",
            f"the patient has no observed finding ({len(absent)} excluded, {len(unsure)} uncertain).",
            "A ranking needs at least one observed HPO term.",
        )
    count = len(found) + len(absent) + len(unsure)
    if count > MOST_TERMS:
        raise DoyenError(
            "MED-055",
            f"the patient has {count} findings, more than {MOST_TERMS}.",
            "Give the findings of one patient.",
        )
    return found, absent, unsure
