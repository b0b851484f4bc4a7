"""The user's own solved cases: a store of phenopackets becomes patients that the ranking learns its diseases from.

Kept in the knowledge folder: findings, sex and age as numbers, the disease's code and its name as the store writes it,
and PMIDs; no other text and no id of a patient. No figure of ``doyen medical evaluate`` rests on them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from doyen_medical.cases import Case, Patient, known_terms
from doyen_medical.formats.phenopacket import from_phenopacket, packet_of
from doyen_medical.formats.record import MOST_CHARACTERS, read_json
from doyen_medical.knowledge.ontology import Ontology
from doyen_medical.knowledge.purge import paper_id, papers_of
from doyen_schemas import DoyenError

_FOLDER: Final = "patients"
_DISEASE: Final = re.compile(r"OMIM:\d{6}|ORPHA:\d{1,7}")
_UNSOLVED: Final = frozenset(("UNSOLVED", "IN_PROGRESS", "UNKNOWN_PROGRESS"))
_MOST_FILES: Final = 200_000


def read_store(path: Path, ontology: Ontology) -> tuple[list[Case], Counter[str]]:
    """The solved cases of a folder or zip archive of phenopackets, and why others were left out, with counts.

    A case needs one solved OMIM or ORPHA diagnosis and an observed finding. Its paper is the PMID among the packet's
    external references; without one it counts as a paper of its own. Raises MED-023 (nothing there, or too much).
    """
    cases: list[Case] = []
    left_out: Counter[str] = Counter()
    for content in _files(path):
        try:
            case = _case(content.decode("utf-8"), ontology)
        except (DoyenError, UnicodeDecodeError):
            left_out["no phenopacket that can be read"] += 1
            continue
        if isinstance(case, str):
            left_out[case] += 1
        else:
            cases.append(case)
    if not cases:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common()) or "no JSON file"
        raise DoyenError(
            "MED-023", f"{path.name} holds no solved case ({why}).",
            "Give a folder or zip of GA4GH phenopackets with an OMIM or ORPHA diagnosis.",
        )  # fmt: skip
    return cases, left_out


def build(path: Path, ontology: Ontology, folder: Path) -> tuple[int, Counter[str]]:
    """Read a store and keep its cases in the knowledge folder, instead of those of an earlier build."""
    from doyen_medical.rank import profiles

    cases, left_out = read_store(path, ontology)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        profiles.save(cases, ontology, Path(made), {"cases": len(cases), "left_out": dict(left_out)})
        remove(folder)
        shutil.copytree(made, folder / _FOLDER)
    return len(cases), left_out


def remove(folder: Path) -> None:
    """Forget the user's own patients."""
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)


def digest(folder: Path) -> str:
    """sha256 of the kept patients; empty when there are none."""
    kept = [folder / _FOLDER / name for name in ("profiles.safetensors", "profiles.json")]
    if not all(path.is_file() for path in kept):
        return ""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in kept)).hexdigest()


def load(folder: Path, ontology: Ontology) -> list[Case]:
    """The kept patients, their findings as numbers of this ontology."""
    from doyen_medical.rank import profiles

    return profiles.load(folder / _FOLDER, ontology) if digest(folder) else []


def _files(path: Path) -> Iterator[bytes]:
    """The content of every JSON file, in order of names; of one that is too large, nothing."""
    if path.is_dir():
        files = sorted(path.rglob("*.json"))
        _check_number(path, len(files))
        for file in files:
            yield file.read_bytes() if file.stat().st_size <= MOST_CHARACTERS else b""
        return
    if not zipfile.is_zipfile(path):
        raise DoyenError(
            "MED-023", f"{path.name} is neither a folder nor a zip archive.", "Name a store of phenopackets."
        )
    with zipfile.ZipFile(path) as archive:
        entries = sorted(
            (e for e in archive.infolist() if e.filename.endswith(".json")), key=lambda e: e.filename
        )
        _check_number(path, len(entries))
        for entry in entries:
            yield _read(archive, entry)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """An entry's content; nothing where it is too large, encrypted or damaged."""
    try:
        return archive.read(entry) if entry.file_size <= MOST_CHARACTERS else b""
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError):
        return b""


def _check_number(path: Path, number: int) -> None:
    if number > _MOST_FILES:
        raise DoyenError(
            "MED-023",
            f"{path.name} holds {number} files, more than {_MOST_FILES}.",
            "Give a part of the store.",
        )


def _case(text: str, ontology: Ontology) -> Case | str:
    """The case of a phenopacket, or why it is none."""
    record = from_phenopacket(text)
    packet = packet_of(read_json(text))
    diseases = _diagnoses(packet)
    if len(diseases) != 1:
        return "without a single solved diagnosis"
    code, name = next(iter(diseases.items()))
    if _DISEASE.fullmatch(code) is None:
        return "whose diagnosis is neither OMIM nor ORPHA"
    terms = known_terms(record.observed, ontology)
    if not terms:
        return "without an observed finding"
    unique = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Case(
        unique,
        _paper(packet) or f"own:{unique[:8]}",
        code,
        name,
        False,
        Patient(terms, record.sex, record.age),
    )


def _diagnoses(packet: dict[str, Any]) -> dict[str, str]:
    """Codes and names of the solved interpretations, else of the diseases that are not excluded."""
    found: dict[str, str] = {}
    for item in _objects(packet.get("interpretations")):
        diagnosis = item.get("diagnosis")
        if str(item.get("progressStatus", "SOLVED")).upper() not in _UNSOLVED and isinstance(diagnosis, dict):
            _add(found, diagnosis.get("disease"))
    if not found:
        for item in _objects(packet.get("diseases")):
            if item.get("excluded") is not True:
                _add(found, item.get("term"))
    return found


def _add(found: dict[str, str], term: Any) -> None:
    if isinstance(term, dict) and isinstance(term.get("id"), str):
        code = term["id"].replace("Orphanet:", "ORPHA:").replace("ORPHANET:", "ORPHA:")
        found[code] = str(term.get("label") or code)[:200]


def _paper(packet: dict[str, Any]) -> str:
    meta = packet.get("metaData")
    for item in _objects(meta.get("externalReferences") if isinstance(meta, dict) else None):
        if papers := papers_of(str(item.get("id", ""))):
            return paper_id(min(papers))
    return ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
