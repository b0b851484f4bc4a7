"""Lists of findings: HPO ids or names (English or Chinese labels), one a line or separated by commas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from doyen_medical.formats.record import PatientRecord, checked_count
from doyen_medical.knowledge.ontology import Ontology
from doyen_schemas import DoyenError

_ID: Final = re.compile(r"(?:HPO?[:_]?)(\d{7})", re.I)
_ABSENT: Final = frozenset(
    {"excluded", "absent", "no", "false", "negated", "negative", "0", "n", "-", "无", "否"}
)
_PRESENT: Final = frozenset({"observed", "present", "yes", "true", "positive", "1", "y", "+", "有", "是"})


def from_terms(text: str, ontology: Ontology, labels_zh: Mapping[str, str] | None = None) -> PatientRecord:
    """A term list: ``HP:0001250``, ``Seizure`` or a Chinese label; a leading ``!`` or ``-``, or a column after a tab
    that says excluded, absent or no, excludes it. Lines that begin with ``#`` are remarks.

    Raises MED-056 (a line that is neither, by its number: it may hold a patient's words), MED-054, MED-055.
    """
    names = _names(ontology, labels_zh or {})
    observed: list[str] = []
    excluded: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        for item in _items(line):
            cells = [cell.strip() for cell in item.split("\t") if cell.strip()]
            if not cells:
                continue
            absent = cells[0][0] in "!-！" or any(cell.lower() in _ABSENT for cell in cells[1:])
            id = next((found for cell in cells if (found := _id(cell.lstrip("!-！ "), names))), None)
            if id is None:
                if number == 1 and len(cells) > 1:
                    continue
                raise DoyenError(
                    "MED-056",
                    f"line {number} of the term list is neither an HPO id nor the name of a finding.",
                    "Write HP:0001250 or an exact HPO label; give prose as a note.",
                )
            (excluded if absent else observed).append(id)
    once = checked_count(observed, excluded)
    return PatientRecord(id="", source="terms", observed=once[0], excluded=once[1])


def _items(line: str) -> list[str]:
    """A line with ids may hold several, separated; a name may hold commas and stays whole."""
    if len(_ID.findall(line)) > 1:
        return re.split(r"[,;，；、|]|\s+(?=[!-]?HP)", line)
    return re.split(r"[;；、]", line)


def _id(cell: str, names: Mapping[str, str]) -> str | None:
    if match := _ID.match(cell):
        return f"HP:{match[1]}"
    return names.get(_folded(cell))


def _names(ontology: Ontology, labels_zh: Mapping[str, str]) -> dict[str, str]:
    """Label or exact synonym to id; a label goes before a synonym of another term."""
    names: dict[str, str] = {}
    for term, id in enumerate(ontology.ids):
        if ontology.phenotypic[term]:
            for synonym in ontology.synonyms[term]:
                if synonym.scope == "EXACT":
                    names.setdefault(_folded(synonym.text), id)
    for term, id in enumerate(ontology.ids):
        if ontology.phenotypic[term]:
            names[_folded(ontology.labels[term])] = id
    for id, label in labels_zh.items():
        names.setdefault(_folded(label), id)
    return names


def _folded(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").split()).strip('."')
