"""Reports to files: JSON, the page, FHIR R4; and a person's decision into a report that was written before."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from doyen_medical.report.as_html import as_html
from doyen_medical.report.as_json import as_json
from doyen_medical.report.model import MedicalReport, SignOff
from doyen_medical.report.words import LANGUAGES
from doyen_schemas import DoyenError

FORMATS: Final = ("json", "html", "fhir")
_NAMES: Final = {"json": "report.json", "html": "report.html", "fhir": "report.fhir.json"}
_LONGEST_NAME: Final = 200


def write(
    report: MedicalReport, folder: Path, formats: Sequence[str] = ("json", "html"), language: str = "en"
) -> dict[str, Path]:
    """Write ``report.json``, ``report.html`` and ``report.fhir.json`` into a folder, each whole or not at all.

    Raises MED-081 (unknown language or format), MED-082 (the folder cannot be written) and MED-083 (another report
    stands there that a person has signed).
    """
    check(formats, language)
    _refuse_signed(folder / _NAMES["json"], report)
    contents = {name: _content(report, name, language) for name in formats}
    written = {}
    for name, content in contents.items():
        written[name] = folder / _NAMES[name]
        write_atomic(written[name], content)
    return written


def check(formats: Sequence[str], language: str) -> None:
    """Raises MED-081 for formats or a language that ``write`` does not know."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise DoyenError(
            "MED-081", f"unknown format {(unknown or [''])[0]!r}.", f"Formats: {', '.join(FORMATS)}."
        )
    if language not in LANGUAGES:
        raise DoyenError("MED-081", f"unknown language {language!r}.", f"Languages: {', '.join(LANGUAGES)}.")


def _refuse_signed(path: Path, report: MedicalReport) -> None:
    """A signed report is a record: only itself may be written in its place."""
    from doyen_medical.report.as_json import read_report

    if not path.is_file():
        return
    try:
        standing = read_report(path)
    except DoyenError:
        return
    if standing.sign_off is not None and standing != report:
        raise DoyenError(
            "MED-083", f"{path} was signed on {standing.sign_off.time}.", "Name another folder with --out."
        )


def folder_name(report: MedicalReport) -> str:
    """A folder's name that two patients do not share: the file's, made plain, and digits of the input's digest."""
    stem = report.document.name.split(".")[0] if report.document else report.patient.source
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', stem)[:60].strip('-') or 'patient'}-{report.input_sha256[:8]}"


def sign(
    path: Path, by: str, decision: Literal["accept", "reject"], note: str = "", log: Path | None = None
) -> MedicalReport:
    """Write a person's decision into a report and the audit log, and into the page beside it.

    The log gets the digest of the report, the name and the decision; the note stays in the report. Raises MED-080 (no
    report), MED-082, MED-083 (signed before, or no name) and MED-07x (the log).
    """
    from doyen_medical import audit
    from doyen_medical.report.as_json import read_report

    report = read_report(path)
    if report.sign_off is not None:
        raise DoyenError(
            "MED-083", f"{path.name} was signed on {report.sign_off.time}.",
            "A decision is not changed; diagnose again for a new report.",
        )  # fmt: skip
    by = by.strip()
    if not by or len(by) > _LONGEST_NAME or not by.isprintable():
        raise DoyenError(
            "MED-083", f"the name has {len(by)} characters.", f"Give a name of 1 to {_LONGEST_NAME} in --by."
        )
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise DoyenError("MED-082", f"{path} cannot be written.", "Sign where the report may be changed.")
    entry = audit.record(report, "signed", who=by, decision=decision, file=log)
    signed = report.model_copy(
        update={
            "sign_off": SignOff(
                by=by, decision=decision, time=datetime.now(UTC).isoformat(timespec="seconds"), note=note,
                report_sha256=entry.report_sha256, audit=entry.hash,
            )
        }
    )  # fmt: skip
    write_atomic(path, as_json(signed))
    page = path.with_suffix(".html")
    if page.is_file():
        chinese = b'<html lang="zh' in page.read_bytes()[:200]
        write_atomic(page, as_html(signed, "zh" if chinese else "en"))
    return signed


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file under another name first. Raises MED-082."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except OSError as error:
        raise DoyenError(
            "MED-082", f"{path} cannot be written ({error.strerror}).", "Choose another folder with --out."
        ) from error


def _content(report: MedicalReport, name: str, language: str) -> bytes:
    if name == "html":
        return as_html(report, language)
    if name == "json":
        return as_json(report)
    from doyen_medical.formats.fhir_out import fhir_of_report

    return json.dumps(fhir_of_report(report), ensure_ascii=False, indent=1).encode() + b"\n"
