"""Stored cases ranked again when knowledge or weights have changed, and what that moves among the first ten.

A report holds the features that were ranked (HPO ids, sex, age); no note is read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from doyen_medical.pipeline import Diagnoser
from doyen_medical.report.as_json import read_report
from doyen_medical.report.model import MedicalReport
from doyen_schemas import DoyenError

TOP: Final = 10
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_VERSION: Final = re.compile(r"hpo-(\d{4}-\d\d-\d\d)(?:\+[0-9a-f.]+)?")


@dataclass(frozen=True, slots=True)
class Change:
    """What a new ranking moves: ``moved`` are (disease, place before, place now), 0 for outside the first ten."""

    file: str
    input_sha256: str
    knowledge: tuple[str, str]
    adapter: tuple[str, str]
    first: tuple[str, str]
    first_probability: tuple[float, float]
    abstained: tuple[str, str]
    moved: tuple[tuple[str, int, int], ...]

    @property
    def changed(self) -> bool:
        """Whether a reader of the report would see another list or another refusal."""
        return bool(self.moved) or self.abstained[0] != self.abstained[1]


def stored(folder: Path, since: str) -> Iterator[tuple[Path, MedicalReport | DoyenError]]:
    """The reports below a folder, sorted, made on or after a day, or with this HPO release or a later one.

    Other JSON files are passed over; of a damaged report the error (MED-080) is given, so that the others go on. Raises
    MED-085 (no such folder, or ``since`` is neither a day nor a version).
    """
    release = _VERSION.fullmatch(since)
    if release is None and not _DAY.fullmatch(since):
        raise DoyenError(
            "MED-085", f"--since is {since!r}; it must be a day or a knowledge version.",
            "Write 2026-01-31 or hpo-2025-01-16.",
        )  # fmt: skip
    if not folder.is_dir():
        raise DoyenError("MED-085", f"no such folder: {folder}.", "Name the folder of the stored reports.")
    for path in sorted(folder.rglob("*.json")):
        if not _is_report(path):
            continue
        try:
            report = read_report(path)
        except DoyenError as error:
            yield path, error
            continue
        own = _VERSION.fullmatch(report.knowledge_version)
        if report.created[:10] >= since if release is None else own is not None and own[1] >= release[1]:
            yield path, report


def again(report: MedicalReport, diagnoser: Diagnoser) -> MedicalReport:
    """The report of a stored case's features with the knowledge and weights in use now."""
    from doyen_medical.formats.record import PatientRecord

    patient = report.patient
    record = PatientRecord(
        id="", source=patient.source, observed=tuple(term.id for term in patient.observed),
        excluded=tuple(term.id for term in patient.excluded), sex=patient.sex, age=patient.age_years,
        uncertain=tuple(term.id for term in patient.uncertain), foreign=patient.foreign,
    )  # fmt: skip
    new = diagnoser.diagnose_record(record)
    return new.model_copy(update={"document": report.document, "input_sha256": report.input_sha256})


def compare(file: str, old: MedicalReport, new: MedicalReport) -> Change:
    """What changed among the first ten."""
    before, now = _places(old), _places(new)
    moved = [
        (code, before.get(code, 0), now.get(code, 0))
        for code in sorted(
            before.keys() | now.keys(), key=lambda code: (now.get(code, 99), before.get(code, 99))
        )
        if before.get(code) != now.get(code)
    ]
    return Change(
        file=file, input_sha256=old.input_sha256, knowledge=(old.knowledge_version, new.knowledge_version),
        adapter=(_adapter(old), _adapter(new)), first=(_first(old)[0], _first(new)[0]),
        first_probability=(_first(old)[1], _first(new)[1]),
        abstained=(_reason(old), _reason(new)), moved=tuple(moved),
    )  # fmt: skip


def is_current(report: MedicalReport, knowledge: str, adapter_digest: str) -> bool:
    """Whether a report was made with exactly this knowledge and these weights."""
    return report.knowledge_version == knowledge and _adapter(report) == adapter_digest


def _is_report(path: Path) -> bool:
    try:
        value: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("vertical") == "medical" and "knowledge_version" in value


def _places(report: MedicalReport) -> dict[str, int]:
    return {candidate.code: candidate.rank for candidate in report.candidates[:TOP]}


def _first(report: MedicalReport) -> tuple[str, float]:
    return (report.candidates[0].code, report.candidates[0].probability) if report.candidates else ("", 0.0)


def _reason(report: MedicalReport) -> str:
    return report.abstained.reason if report.abstained else ""


def _adapter(report: MedicalReport) -> str:
    return report.versions.get("adapter_digest", "")
