"""Reports to files: JSON, a workbook, and a page with the numbers marked on the pages' images."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from doyen_finance.statements.model import Report
from doyen_schemas import DoyenError

FORMATS: Final = ("json", "xlsx", "html")


def check(formats: Sequence[str]) -> None:
    """Raises FIN-016 for formats that ``write`` does not know."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise DoyenError(
            "FIN-016", f"unknown format {(unknown or [''])[0]!r}.", f"Formats: {', '.join(FORMATS)}."
        )


def folder_name(report: Report) -> str:
    """A folder's name that two files do not share: the file's, made plain, and digits of its digest."""
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', Path(report.name).stem)[:60].strip('-') or 'report'}-{report.sha256[:8]}"


def write(report: Report, pdf: Path, folder: Path, formats: Sequence[str] = FORMATS) -> dict[str, Path]:
    """Write ``report.json``, ``report.xlsx`` and ``report.html`` into a folder, each whole or not at all.

    ``pdf`` is the file that was parsed; the page shows its pages. Raises FIN-016 (unknown format) and FIN-017 (the
    folder cannot be written).
    """
    check(formats)
    written: dict[str, Path] = {}
    for name in formats:
        written[name] = folder / f"report.{name}"
        _write_atomic(written[name], _content(report, pdf, name))
    return written


def _content(report: Report, pdf: Path, name: str) -> bytes:
    if name == "json":
        return report.model_dump_json(indent=1).encode()
    if name == "xlsx":
        from doyen_finance.statements.as_xlsx import as_xlsx

        return as_xlsx(report)
    from doyen_finance.statements.as_html import as_html

    return as_html(report, pdf).encode()


def _write_atomic(path: Path, content: bytes) -> None:
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise DoyenError(
            "FIN-017",
            f"{path.parent} cannot be written: {error.strerror}.",
            "Name a folder that you may write to.",
        ) from error
