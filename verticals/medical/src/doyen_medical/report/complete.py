"""What a report says of itself: its sources as links, what no candidate explains, which file it was."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from doyen_medical.report.model import Citation, MedicalReport, Term
from doyen_schemas import DocumentInfo

FIRST: Final = 5
"""Candidates that a reader weighs against each other."""
_URLS: Final = (
    (re.compile(r"PMID:\s*(\d+)", re.I), "https://pubmed.ncbi.nlm.nih.gov/{}/"),
    (re.compile(r"OMIM:(\d+)"), "https://www.omim.org/entry/{}"),
    (re.compile(r"ORPHA:(\d+)"), "https://www.orpha.net/en/disease/detail/{}"),
    (re.compile(r"(HP:\d{7})"), "https://hpo.jax.org/browse/term/{}"),
)
_WEB: Final = re.compile(r"https?://[^\s\"'<>]+")
_MEDIA: Final = {".json": "application/json", ".tsv": "text/tab-separated-values", ".csv": "text/csv"}


def complete(report: MedicalReport, path: Path | None = None) -> MedicalReport:
    """The report with its citations, the findings that none of the first candidates explains, and its file."""
    keys = dict.fromkeys(
        key for candidate in report.candidates for weight in candidate.evidence for key in weight.sources
    ) | dict.fromkeys(key for statement in report.statements for key in statement.citations)
    return report.model_copy(
        update={
            "citations": [Citation(key=key, url=url_of(key)) for key in sorted(keys, key=_order)],
            "unexplained": unexplained(report),
            "document": document_info(path) if path else report.document,
        }
    )


def unexplained(report: MedicalReport) -> list[Term]:
    """Observed findings that support none of the first candidates."""
    explained = {
        weight.finding.id
        for candidate in report.candidates[:FIRST]
        for weight in candidate.evidence
        if weight.role == "supports"
    }
    return [term for term in report.patient.observed if term.id not in explained] if report.candidates else []


def url_of(key: str) -> str | None:
    """Where a source opens; None for a key of no known kind."""
    for pattern, url in _URLS:
        if match := pattern.fullmatch(key):
            return url.format(match[1])
    return key if _WEB.fullmatch(key) else None


def document_info(path: Path) -> DocumentInfo:
    """Name, digest and length of a file that was read."""
    content = path.read_bytes()
    return DocumentInfo(
        name=os.fsencode(path.name).decode("utf-8", errors="replace"), sha256=hashlib.sha256(content).hexdigest(),
        media_type=_MEDIA.get(path.suffix.lower(), "text/plain"), pages=0,
        characters=len(content.decode("utf-8", errors="replace")),
    )  # fmt: skip


def _order(key: str) -> tuple[bool, int, str]:
    number = re.search(r"\d+", key)
    return not key.startswith("PMID"), int(number[0]) if number else 0, key
