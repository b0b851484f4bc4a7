"""Lists of findings: HPO ids or names (English or Chinese labels), one a line, separated, or as a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from doyen_medical.formats.record import PatientRecord, Presence, checked_count
from doyen_medical.knowledge.ontology import Ontology
from doyen_schemas import DoyenError

_ID: Final = re.compile(r"HPO?[:_]?(\d{7})(?!\w)(.*)", re.I)
_ANY_ID: Final = re.compile(r"HPO?[:_]?\d{7}", re.I)
_NEXT_ID: Final = re.compile(r"(?<=[^\s!！-])\s+(?=[!！-]?HPO?[:_]?\d{7})", re.I)
_SIGNS: Final[dict[str, Presence]] = {"0": "excluded", "-": "excluded", "1": "observed", "+": "observed"}
"""Say something in a column of their own only: behind a name a hyphen is punctuation."""
_BULLET: Final = re.compile(r"\s*[*•·‣◦–]\s+")
_DASH: Final = re.compile(r"\s*-\s+")
_ABSENT: Final = (
    "excluded", "absent", "not present", "not observed", "no", "false", "negated", "negative", "n", "无", "否",
)  # fmt: skip
_PRESENT: Final = ("observed", "present", "yes", "true", "positive", "y", "有", "是")
_UNSURE: Final = ("uncertain", "unknown", "unclear", "possible", "suspected", "?", "可疑", "未知", "不详")
_WORDS: Final[dict[str, Presence]] = {
    **{word: "excluded" for word in _ABSENT},
    **{word: "observed" for word in _PRESENT},
    **{word: "uncertain" for word in _UNSURE},
}
_TRUTH: Final[dict[str, Presence]] = {
    **{word: "excluded" for word in ("true", "yes", "y", "1", "excluded", "absent", "是")},
    **{word: "observed" for word in ("false", "no", "n", "0", "否")},
}
"""What a column named *excluded* says."""
_COLUMNS: Final[dict[str, str]] = (
    dict.fromkeys(("id", "hpo", "hpo id", "hpoid", "hp id", "term id", "phenotype id", "feature id", "code", "hpo code"), "id")
    | dict.fromkeys(("label", "name", "term", "hpo label", "hpo name", "hpo term", "term label", "term name", "phenotype", "finding", "feature", "symptom"), "name")
    | dict.fromkeys(("status", "presence", "present", "observed", "assertion", "value"), "status")
    | dict.fromkeys(("excluded", "absent", "negated"), "excluded")
)  # fmt: skip


class _Finding(NamedTuple):
    id: str
    presence: Presence | None
    """None where the cell does not say."""


def from_terms(text: str, ontology: Ontology, labels_zh: Mapping[str, str] | None = None) -> PatientRecord:
    """A term list: ``HP:0001250``, ``Seizure`` or a Chinese label; a leading ``!`` or ``-``, or a word behind it or in
    a column beside it (excluded, absent, no, not present), excludes it; *unknown* and the like leave it out, counted.

    Columns are divided by tabs or as CSV; a first line of column names is read (id, label, status, excluded). Lines that
    begin with ``#`` are remarks; bullets are not read, and a hyphen with a space before every line is one. Raises MED-056 (a cell that is none of these, or two that contradict each other, by
    the line's number: it may hold a patient's words), MED-054, MED-055.
    """
    names = _names(ontology, labels_zh or {})
    found: dict[Presence, list[str]] = {"observed": [], "excluded": [], "uncertain": []}
    columns: list[str] = []
    first = True
    for number, line in _lines(text):
        if first and (columns := _header(line)):
            first = False
            continue
        first = False
        read = _table_row(line, columns, names) if columns else _row(line, names)
        if read is None:
            raise DoyenError(
                "MED-056",
                f"line {number} of the term list has a cell that is neither an HPO id, the name of a finding nor its status,"
                " or cells that contradict each other.",
                "Write HP:0001250 or an exact HPO label, then excluded where it is absent; give prose as a note.",
            )
        for finding in read:
            found[finding.presence or "observed"].append(finding.id)
    once = checked_count(found["observed"], found["excluded"], found["uncertain"])
    return PatientRecord(id="", source="terms", observed=once[0], excluded=once[1], uncertain=once[2])


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers and without bullets."""
    lines = [
        (number, _BULLET.sub("", line, count=1) if _BULLET.match(line) else line)
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    # A list that excludes everything says nothing about the patient: such hyphens are bullets.
    if len(lines) > 1 and all(_DASH.match(line) for _, line in lines):
        return [(number, _DASH.sub("", line, count=1)) for number, line in lines]
    return lines


def _row(line: str, names: Mapping[str, str]) -> list[_Finding] | None:
    """The findings of a line without column names; None where something in it cannot be read."""
    if whole := _finding(line, names):
        return [whole]
    read: list[_Finding] = []
    said: set[Presence] = set()
    for cell in _cells(line, names):
        if not cell:
            continue
        if finding := _finding(cell, names):
            read.append(finding)
        elif word := _status(cell):
            said.add(word)
        else:
            return None
    return _merged(read, said)


def _table_row(line: str, columns: list[str], names: Mapping[str, str]) -> list[_Finding] | None:
    """The finding of a row below column names; a name beside an id is not read, since releases name terms anew."""
    cells = _split(line, "\t" if "\t" in line else ",")
    said: set[Presence] = set()
    by: dict[str, list[_Finding]] = {"id": [], "name": []}
    unread_names = False
    for place, cell in enumerate(cells):
        kind = columns[place] if place < len(columns) else ""
        if not cell:
            continue
        finding = _finding(cell, names) if kind in by else None
        word = _TRUTH.get(cell.lower()) if kind == "excluded" else _status(cell)
        if finding is not None:
            by[kind].append(finding)
        elif kind == "name":
            unread_names = True
        elif word is not None and kind != "id":
            said.add(word)
        else:
            return None
    if by["id"]:
        return _merged(by["id"], said)
    return None if unread_names else _merged(by["name"], said)


def _merged(read: list[_Finding], said: set[Presence]) -> list[_Finding] | None:
    """One finding for an id and its name; a status column speaks of the row's only finding."""
    ids = dict.fromkeys(finding.id for finding in read)
    if not ids:
        return None if said else []
    if said and len(ids) > 1:
        return None
    merged = []
    for id in ids:
        all_said = said | {f.presence for f in read if f.id == id and f.presence is not None}
        if len(all_said) > 1:
            return None
        merged.append(_Finding(id, next(iter(all_said), None)))
    return merged


def _header(line: str) -> list[str]:
    """The kinds of the columns that a line names; empty where it names none."""
    if _ANY_ID.search(line):
        return []
    cells = _split(line, "\t" if "\t" in line else ",")
    kinds = [_COLUMNS.get(cell.lower().replace("_", " "), "") for cell in cells]
    return kinds if "id" in kinds or "name" in kinds else []


def _cells(line: str, names: Mapping[str, str]) -> list[str]:
    """Between tabs, else semicolons, else commas; a name may hold commas and stays whole where one is known."""
    if "\t" in line:
        return _split(line, "\t")
    cells = []
    parts = _split(re.sub("[；|]", ";", line), ";") if re.search("[;；|]", line) else [line]
    for part in parts:
        whole = _finding(part, names) or _status(part)
        cells += [part] if whole else _split(re.sub("[，、]", ",", part), ",")
    return [cell for part in cells for cell in _NEXT_ID.split(part)]


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return [
            cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        ]
    except csv.Error:
        return [line.strip()]


def _finding(cell: str, names: Mapping[str, str]) -> _Finding | None:
    """An id or a name, with its mark before and its status or name behind: ``!HP:0001250``, ``Seizure: absent``."""
    bare = cell.strip().lstrip("!-！ ")
    marked: Presence | None = "excluded" if cell.strip()[:1] in ("!", "-", "！") and bare else None
    if match := _ID.fullmatch(bare):
        id, rest = f"HP:{match[1]}", match[2].strip(" :=()[]")
        word = _WORDS.get(rest.lower())
        if rest and word is None and names.get(_folded(rest)) != id:
            return None
        return _agreed(id, marked, word)
    if id := names.get(_folded(bare), ""):
        return _Finding(id, marked)
    parts = bare.replace("(", " ").replace(")", " ").replace(":", " ").replace("=", " ").split()
    for length in (2, 1):
        word = _WORDS.get(" ".join(parts[-length:]).lower()) if len(parts) > length else None
        id = names.get(_folded(" ".join(parts[:-length])), "") if word else ""
        if id:
            return _agreed(id, marked, word)
    return None


def _agreed(id: str, mark: Presence | None, word: Presence | None) -> _Finding | None:
    return None if mark and word and mark != word else _Finding(id, mark or word)


def _status(cell: str) -> Presence | None:
    return _WORDS.get(cell.lower()) or _SIGNS.get(cell)


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
