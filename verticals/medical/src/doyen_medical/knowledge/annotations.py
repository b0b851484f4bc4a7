"""HPO annotations (phenotype.hpoa): which disease has which finding, how often, and who says so.

Shape legend: R rows, D diseases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_medical.knowledge.ontology import Ontology
from doyen_medical.knowledge.purge import papers_of
from doyen_schemas import DoyenError

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

DATABASES: Final = ("OMIM", "ORPHA")
SHARES: Final = {
    "HP:0040280": 1.0, "HP:0040281": 0.9, "HP:0040282": 0.55, "HP:0040283": 0.17, "HP:0040284": 0.025,
    "HP:0040285": 0.0,
}  # fmt: skip
"""Share of patients that a frequency class stands for: obligate, very frequent (80-99 %), frequent (30-79 %),
occasional (5-29 %), very rare (1-4 %), excluded."""
_COLUMNS: Final = (
    "database_id",
    "disease_name",
    "qualifier",
    "hpo_id",
    "reference",
    "frequency",
    "sex",
    "aspect",
)


@dataclass(frozen=True)
class Annotations:
    """The rows of OMIM and Orphanet diseases.

    Attributes:
        diseases, names: code (``OMIM:…``, ``ORPHA:…``) and name by disease number, D each.
        disease_R, term_R: numbers.
        aspect_R: ``P`` finding, ``I`` inheritance, ``C`` onset and course, ``M`` modifier, ``H`` history.
        negated_R: the qualifier is NOT.
        share_R: share of patients in [0, 1], NaN where none is stated.
        hits_R, total_R: patients with the finding and patients examined; 0 of 0 unless stated as ``n/m``.
        sex_R: ``M``, ``F`` or empty: the row holds for that sex alone.
        reference_R: number in ``references``, whose entries are as written, such as ``PMID:1;PMID:2``.
    """

    release: str
    diseases: tuple[str, ...]
    names: tuple[str, ...]
    references: tuple[str, ...]
    disease_R: Ints
    term_R: Ints
    aspect_R: NDArray[np.str_]
    negated_R: Mask
    share_R: Floats
    hits_R: Floats
    total_R: Floats
    sex_R: NDArray[np.str_]
    reference_R: Ints

    @cached_property
    def number(self) -> dict[str, int]:
        """Disease code to number."""
        return {code: number for number, code in enumerate(self.diseases)}

    @property
    def absent_R(self) -> Mask:
        """Rows of a finding that was looked for and seen in nobody: ``0/n``, 0 %, excluded."""
        return np.asarray(self.share_R == 0, bool)

    @cached_property
    def papers(self) -> tuple[frozenset[str], ...]:
        """The PMIDs that each reference mentions."""
        return tuple(papers_of(reference) for reference in self.references)

    def rows(self, keep_R: Mask) -> Annotations:
        """The same diseases with some of the rows only."""
        kept: dict[str, Any] = {
            f.name: getattr(self, f.name)[keep_R] for f in fields(self) if f.name.endswith("_R")
        }
        texts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in kept}
        return Annotations(**texts, **kept)

    def without_papers(self, drop: frozenset[str] | Any) -> Annotations:
        """Without every row whose reference mentions a paper for which ``drop`` (a set or a predicate) holds."""
        wrong = drop.__contains__ if isinstance(drop, frozenset | set) else drop
        bad = np.array([any(wrong(paper) for paper in papers) for papers in self.papers], bool)
        return self.rows(~bad[self.reference_R])


def parse(text: str, ontology: Ontology) -> Annotations:
    """The annotations of an HPOA file; rows of other databases and unknown terms are left out.

    Obsolete and alternative ids are replaced. Raises MED-002 when the columns are not those of HPOA.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    version = re.search(r"^#(?:version|date): *(\d{4}-\d\d-\d\d)", text, re.M)
    header = lines[0].split("\t") if lines else []
    if version is None or not set(_COLUMNS) <= set(header):
        raise DoyenError(
            "MED-002",
            f"the annotation file has no version or lacks the columns {', '.join(_COLUMNS)}.",
            "It must be phenotype.hpoa of a Human Phenotype Ontology release.",
        )
    at = {name: header.index(name) for name in _COLUMNS}
    diseases: dict[str, int] = {}
    names: list[str] = []
    references: dict[str, int] = {}
    rows: list[tuple[Any, ...]] = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(header) or cells[at["database_id"]].split(":")[0] not in DATABASES:
            continue
        term_id = cells[at["hpo_id"]]
        term = ontology.number.get(ontology.obsolete.get(term_id) or term_id)
        if term is None:
            continue
        code = cells[at["database_id"]]
        if code not in diseases:
            diseases[code] = len(diseases)
            names.append(cells[at["disease_name"]])
        reference = references.setdefault(cells[at["reference"]], len(references))
        share, hits, total = frequency(cells[at["frequency"]])
        sex = cells[at["sex"]].strip().upper()[:1]
        rows.append((
            diseases[code], term, cells[at["aspect"]][:1], "NOT" in cells[at["qualifier"]].upper(),
            share, hits, total, sex if sex in "MF" else "", reference,
        ))  # fmt: skip
    columns = list(zip(*rows, strict=True)) if rows else [()] * 9
    kinds = (np.int32, np.int32, np.str_, bool, np.float32, np.float32, np.float32, np.str_, np.int32)
    arrays = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return Annotations(version[1], tuple(diseases), tuple(names), tuple(references), *arrays)


def frequency(cell: str) -> tuple[float, float, float]:
    """Share, hits and total of a frequency cell: a class id, ``n/m``, a percentage or nothing (NaN, 0, 0)."""
    cell = cell.strip()
    if cell in SHARES:
        return SHARES[cell], 0.0, 0.0
    if match := re.fullmatch(r"(\d+)/(\d+)", cell):
        hits, total = int(match[1]), int(match[2])
        return (
            (min(hits / total, 1.0), float(min(hits, total)), float(total)) if total else (np.nan, 0.0, 0.0)
        )
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", cell):
        return min(float(match[1]) / 100, 1.0), 0.0, 0.0
    return np.nan, 0.0, 0.0


def to_parts(annotations: Annotations) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and JSON-able texts, for the cache."""
    arrays = {f.name: getattr(annotations, f.name) for f in fields(annotations) if f.name.endswith("_R")}
    texts = {f.name: getattr(annotations, f.name) for f in fields(annotations) if f.name not in arrays}
    return arrays, texts


def from_parts(arrays: dict[str, Any], texts: dict[str, Any]) -> Annotations:
    """The inverse of ``to_parts``."""
    rest: dict[str, Any] = {name: tuple(value) for name, value in texts.items() if name != "release"}
    return Annotations(release=texts["release"], **rest, **arrays)
