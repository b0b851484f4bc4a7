"""A patient as read from a file: what every format gives, before it is checked against the ontology."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from doyen_medical.cases import Sex
from doyen_schemas import DoyenError

Source = Literal["phenopacket", "fhir", "terms", "note"]
Status = Literal["observed", "excluded", "hypothetical"]

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
    ``uncertain`` counts findings that were left out since their source calls them unconfirmed.
    """

    id: str
    source: Source
    observed: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    sex: Sex = ""
    age: float | None = None
    quotes: tuple[Quote, ...] = ()
    uncertain: int = 0


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


def checked_count(observed: list[str], excluded: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids, each once, in order. Raises MED-054 (none observed) and MED-055 (more than 500)."""
    once = tuple(dict.fromkeys(observed)), tuple(dict.fromkeys(excluded))
    if not once[0]:
        raise DoyenError(
            "MED-054",
            f"the patient has no observed finding ({len(once[1])} excluded).",
            "A ranking needs at least one observed HPO term.",
        )
    if len(once[0]) + len(once[1]) > MOST_TERMS:
        raise DoyenError(
            "MED-055",
            f"the patient has {len(once[0]) + len(once[1])} findings, more than {MOST_TERMS}.",
            "Give the findings of one patient.",
        )
    return once
