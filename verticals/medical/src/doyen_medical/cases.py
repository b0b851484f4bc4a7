"""Published cases: what a model may see of them (``Patient``) and what it is measured against.

A case's ``genes`` name the disease and its ``excluded`` findings are columns of the paper's cohort table, seven of
ten annotated to the true disease: neither is read into a ``Patient``.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final, Literal

from doyen_medical.knowledge.ontology import Ontology
from doyen_schemas import DoyenError

Sex = Literal["M", "F", ""]
_AGE: Final = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T[\dHMS.]*)?")
_SEX: Final[dict[str, Sex]] = {"MALE": "M", "FEMALE": "F"}
_LIMIT: Final = 500_000_000
OLDEST: Final = 130.0
"""Years that no person exceeds."""
_MANY: Final = 10**9


@dataclass(frozen=True, slots=True)
class Patient:
    """The only input of a ranking: term numbers of the observed findings, sex, age in years."""

    terms: tuple[int, ...]
    sex: Sex = ""
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A published patient with the diagnosis. ``cited``: HPOA cites this paper for this disease."""

    id: str
    paper: str
    disease: str
    disease_name: str
    cited: bool
    patient: Patient


def years(age: object) -> float | None:
    """Years of an ISO 8601 duration such as ``P6Y3M``, or of a number of years; None when it is absent or another text."""
    if isinstance(age, int | float) and not isinstance(age, bool):
        return float(age) if abs(age) < _MANY else inf
    if not isinstance(age, str):
        return None
    match = _AGE.fullmatch(age)
    if match is None or age == "P":
        return None
    y, m, w, d = (float(part or 0) for part in match.groups())
    return y + m / 12 + w / 52.18 + d / 365.25


def known_terms(ids: Iterable[str], ontology: Ontology) -> tuple[int, ...]:
    """Numbers of the ids that are findings of this ontology, obsolete ones replaced, sorted, each once."""
    found = {ontology.number.get(ontology.obsolete.get(id) or id) for id in ids}
    return tuple(sorted(term for term in found if term is not None and ontology.phenotypic[term]))


def read_cases(path: Path, ontology: Ontology, limit: int | None = None) -> list[Case]:
    """Cases of a JSON-lines file, gzipped or not.

    Raises MED-010 (no such file) and MED-011 (a line without ``case_id, pmid, observed, disease_id``).
    """
    cases: list[Case] = []
    for number, row in rows(path):
        if limit is not None and len(cases) >= limit:
            break
        try:
            if not isinstance(row["observed"], list):
                raise TypeError
            age = years(row.get("age"))
            if age is not None and not 0 <= age <= OLDEST:
                raise ValueError
            cases.append(
                Case(
                    id=str(row["case_id"]), paper=str(row["pmid"]), disease=str(row["disease_id"]),
                    disease_name=str(row.get("disease_name") or row["disease_id"]),
                    cited=bool(row.get("hpoa_cites_this_paper_for_this_disease", False)),
                    patient=Patient(
                        known_terms(map(str, row["observed"]), ontology),
                        _SEX.get(str(row.get("sex", "")).upper(), ""),
                        age,
                    ),
                )
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DoyenError(
                "MED-011", f"line {number} of {path.name} is no case ({type(error).__name__}).",
                "Each line is a JSON object with case_id, pmid, observed, disease_id, sex and age (P6Y3M, 0 to 130 years).",
            ) from error  # fmt: skip
    return cases


def rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and JSON value of every line. Raises MED-010 and MED-011."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DoyenError(
                "MED-011",
                f"line {number} of {path.name} is no JSON ({type(error).__name__}).",
                "Give JSON lines.",
            ) from error
        yield number, value


def read_text(path: Path) -> str:
    """The text of a plain or gzipped file. Raises MED-010 (no such file) and MED-011 (no UTF-8, damaged)."""
    if not path.is_file():
        raise DoyenError("MED-010", f"data file not found: {path}.", "Name an existing file with --data.")
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                content = file.read(_LIMIT)
        return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DoyenError(
            "MED-011",
            f"{path.name} cannot be decoded ({type(error).__name__}).",
            "It must be UTF-8, plain or gzipped.",
        ) from error


def capped(cases: Iterable[Case], most: int = 10) -> list[Case]:
    """The first ``most`` cases of each disease and paper, in file order: one paper has 430 cases."""
    seen: dict[tuple[str, str], int] = {}
    kept = []
    for case in cases:
        key = (case.disease, case.paper)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            kept.append(case)
    return kept
