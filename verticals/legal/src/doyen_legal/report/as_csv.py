"""Findings as a CSV table, and many reports as a grid: one row a contract, one column a label."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

from doyen_legal.labels import LABELS
from doyen_schemas import Finding, Report

COLUMNS: Final = (
    "document", "id", "kind", "label", "status", "severity", "message", "value", "unit", "value_kind", "quote",
    "start", "end", "page", "score", "rule", "source", "preferred", "fallback",
)  # fmt: skip
_GRID_HEAD: Final = (
    "document",
    "sha256",
    "contract_type",
    "priority",
    "level",
    "reject",
    "risk",
    "needs_review",
    "faults",
    "missing",
)
_CELL_LENGTH: Final = 300
# What makes a spreadsheet take a cell for a formula, in ASCII and full width.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(report: Report) -> bytes:
    """One row a finding, UTF-8 with a byte order mark (Excel needs it), formulas made harmless."""
    return _table(COLUMNS, [_row(report, finding) for finding in report.findings])


def as_grid(reports: Iterable[Report]) -> bytes:
    """One row a contract, one column a label: the normalised values, else the start of the best quote."""
    rows = []
    for report in reports:
        findings = report.findings
        cells = {
            label: _cell([f for f in findings if f.label == label and f.kind in ("clause", "entity")])
            for label in LABELS
        }
        head = {
            "document": report.document.name,
            "sha256": report.document.sha256,
            "contract_type": report.contract_type or "",
            "priority": f"{report.priority.score:.0f}" if report.priority else "",
            "level": report.priority.level if report.priority else "",
            "faults": str(sum(f.kind == "fault" and f.severity != "note" for f in findings)),
            "missing": str(sum(f.kind == "missing" for f in findings)),
        }
        counts = {
            status: str(sum(f.status == status for f in findings))
            for status in ("reject", "risk", "needs_review")
        }
        rows.append({**head, **counts, **cells})
    return _table((*_GRID_HEAD, *LABELS), rows)


def _row(report: Report, finding: Finding) -> dict[str, str]:
    first = finding.evidence[0] if finding.evidence else None
    return {
        "document": report.document.name,
        "id": finding.id,
        "kind": finding.kind,
        "label": finding.label,
        "status": finding.status,
        "severity": finding.severity,
        "message": finding.message,
        "value": finding.value.text if finding.value else "",
        "unit": (finding.value.unit or "") if finding.value else "",
        "value_kind": finding.value.kind if finding.value else "",
        "quote": first.quote if first else "",
        "start": str(first.start) if first else "",
        "end": str(first.end) if first else "",
        "page": str(first.page) if first and first.page else "",
        "score": f"{finding.score:.3f}" if finding.score is not None else "",
        "rule": finding.rule or "",
        "source": finding.source,
        "preferred": str(finding.details.get("preferred") or ""),
        "fallback": str(finding.details.get("fallback") or ""),
    }


def _cell(findings: list[Finding]) -> str:
    """Distinct values, else distinct quotes, best score first."""
    best = sorted(findings, key=lambda f: -(f.score or 0))
    values = [" ".join(filter(None, (f.value.text, f.value.unit))) for f in best if f.value]
    texts = values or [" ".join(f.evidence[0].quote.split()) for f in best if f.evidence]
    text = " | ".join(dict.fromkeys(texts))
    return text if len(text) <= _CELL_LENGTH else text[: _CELL_LENGTH - 1] + "…"


def _table(columns: tuple[str, ...], rows: list[dict[str, str]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns)
    writer.writeheader()
    writer.writerows({name: _safe(text) for name, text in row.items()} for row in rows)
    return buffer.getvalue().encode("utf-8-sig")


def _safe(text: str) -> str:
    """No formula (OWASP, CSV injection) and no NUL, on which readers stumble."""
    text = text.replace("\0", "")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
