"""Writes one report in several formats, each file whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from doyen_schemas import Document, DoyenError, Report

# Format -> file name inside the report's folder.
FORMATS: Final[dict[str, str]] = {
    "json": "report.json",
    "csv": "findings.csv",
    "html": "report.html",
    "docx": "redline.docx",
    "pdf": "highlighted.pdf",
    "ics": "dates.ics",
}


class Written(dict[str, Path]):
    """Format to the file written. ``notes``: format to the reason why it does not apply to this document."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[str, str] = {}


def write(
    report: Report,
    document: Document,
    out: Path,
    formats: Sequence[str] = tuple(FORMATS),
    source: Path | None = None,
) -> Written:
    """Write ``report`` into the folder ``out``, one file a format (``FORMATS`` has the names).

    ``source`` is the file that was reviewed: a DOCX is redlined and a PDF highlighted in a copy of it. A format
    that does not apply (highlights without a PDF) is left out and explained in ``Written.notes``.

    Raises LEG-040 (unknown format), LEG-041 (the report is not of this document), LEG-042 (not writable).
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise DoyenError(
            "LEG-040", f"report format {unknown[0]!r} is not known.", f"Formats: {', '.join(FORMATS)}."
        )
    check_match(report, document)
    written = Written()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(formats):
            try:
                content = _render(name, report, document, source)
            except NotApplicable as reason:
                written.notes[name] = str(reason)
                continue
            written[name] = out / FORMATS[name]
            write_atomic(written[name], content)
    except OSError as error:
        raise DoyenError(
            "LEG-042", f"the report folder {out} cannot be written ({error.strerror}).", "Name another --out."
        ) from error
    return written


class NotApplicable(Exception):
    """This format cannot show this document; ``code`` and reason make the note."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


def check_match(report: Report, document: Document) -> None:
    """Raise LEG-041 unless the report is of this document and every quote stands in it verbatim.

    Raises LEG-046 for a ``created`` that is no ISO 8601 time.
    """
    stamp(report)
    if report.document.sha256 != document.sha256:
        raise DoyenError(
            "LEG-041",
            f"the report is of document {report.document.sha256[:12]}, the file is {document.sha256[:12]}.",
            "Give the file that was reviewed.",
        )
    for finding in report.findings:
        for evidence in (*finding.evidence, *finding.related):
            if document.text[evidence.start : evidence.end] != evidence.quote:
                raise DoyenError(
                    "LEG-041",
                    f"finding {finding.id}: the quote does not stand at [{evidence.start}, {evidence.end}).",
                    "Review the file again with this version.",
                )


def stamp(report: Report) -> datetime:
    """When the report was made, in UTC; raises LEG-046."""
    try:
        created = datetime.fromisoformat(report.created)
    except ValueError as error:
        raise DoyenError(
            "LEG-046",
            f"the report's field created is {report.created[:40]!r}, not an ISO 8601 time.",
            "Review the file again.",
        ) from error
    return created.astimezone(UTC) if created.tzinfo else created.replace(tzinfo=UTC)


def folder_name(report: Report) -> str:
    """A folder name for the report: the document's name, made safe, and the start of its digest."""
    stem = re.sub(r"[^\w.-]+", "_", report.document.name).strip("._")[:80] or "document"
    return f"{stem}-{report.document.sha256[:8]}"


def write_grid(reports: Sequence[Report], path: Path) -> Path:
    """Write one CSV over many reports: a row a contract, a column a label. Raises LEG-042 (not writable)."""
    from doyen_legal.report.as_csv import as_grid

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, as_grid(reports))
    except OSError as error:
        raise DoyenError(
            "LEG-042",
            f"{path} cannot be written ({type(error).__name__}).",
            "Give a folder that you may write to.",
        ) from error
    return path


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader never sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _render(name: str, report: Report, document: Document, source: Path | None) -> bytes:
    # Imported here: a batch that wants JSON should not pay for python-docx, pypdf and jinja2.
    if name == "json":
        from doyen_legal.report.as_json import as_json

        return as_json(report)
    if name == "csv":
        from doyen_legal.report.as_csv import as_csv

        return as_csv(report)
    if name == "html":
        from doyen_legal.report.as_html import as_html

        return as_html(report, document)
    if name == "docx":
        from doyen_legal.report.as_docx import as_docx

        return as_docx(report, document, source)
    if name == "pdf":
        from doyen_legal.report.as_pdf import as_pdf

        return as_pdf(report, document, source)
    from doyen_legal.report.as_ics import as_ics

    return as_ics(report)
