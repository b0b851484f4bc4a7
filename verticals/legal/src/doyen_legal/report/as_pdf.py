"""Findings as highlight annotations in a copy of the reviewed PDF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from doyen_legal.report.write import NotApplicable
from doyen_schemas import Box, Document, Finding, Report

COLOURS: Final = {
    "reject": "f4a29b",
    "risk": "ffd37a",
    "needs_review": "c9b8f5",
    "ok": "b5e0b8",
    "info": "b9d7f0",
}
_ORDER: Final = {status: rank for rank, status in enumerate(("info", "ok", "needs_review", "risk", "reject"))}


def as_pdf(report: Report, document: Document, source: Path | None) -> bytes:
    """The source PDF with one highlight a finding and page; its note has label, status and message.

    Raises NotApplicable: LEG-043 when there is no PDF source, or one that pypdf cannot copy; LEG-044 when the
    findings have no boxes.
    """
    if source is None or document.media_type != "application/pdf":
        raise NotApplicable("LEG-043", "highlights need a PDF source; this document is not one")
    if not any(_boxes(finding) for finding in report.findings):
        raise NotApplicable("LEG-044", "no finding has a place on a page")
    from pypdf import PdfWriter
    from pypdf.errors import PyPdfError

    try:
        writer = PdfWriter(clone_from=source)
        pages = writer.pages
        # what is graver is drawn later, on top
        for finding in sorted(report.findings, key=lambda finding: _ORDER[finding.status]):
            for number, boxes in groupby(_boxes(finding), key=lambda box: box.page):
                if 1 <= number <= len(pages):
                    _highlight(writer, pages[number - 1], number - 1, finding, list(boxes), report.created)
        buffer = io.BytesIO()
        writer.write(buffer)
    except (PyPdfError, RecursionError, KeyError, ValueError, TypeError, AttributeError) as error:
        # pdfminer reads files that pypdf cannot copy; the other formats still show every finding
        raise NotApplicable("LEG-043", f"the PDF cannot be copied ({type(error).__name__})") from error
    return buffer.getvalue()


def _boxes(finding: Finding) -> list[Box]:
    """The boxes of the evidence, in page order."""
    boxes = [box for evidence in finding.evidence for box in evidence.boxes]
    return sorted(boxes, key=lambda box: box.page)


def _highlight(
    writer: Any, page: Any, index: int, finding: Finding, boxes: Sequence[Box], created: str
) -> None:
    from pypdf.annotations import Highlight
    from pypdf.generic import ArrayObject, FloatObject, NameObject, TextStringObject

    quads: list[float] = []
    for box in boxes:
        (ax, ay), (bx, by) = _to_user_space(page, box)
        left, right, low, high = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
        # upper left, upper right, lower left, lower right: the order that viewers use, unlike the standard's text
        quads += [left, high, right, high, left, low, right, low]
    rectangle = (min(quads[0::2]), min(quads[1::2]), max(quads[0::2]), max(quads[1::2]))
    annotation = Highlight(
        rect=rectangle,
        quad_points=ArrayObject(FloatObject(round(number, 2)) for number in quads),
        highlight_color=COLOURS[finding.status],
        printing=True,
    )
    status = finding.status.replace("_", " ")
    lines = [f"{finding.label} ({finding.kind}): {status}", finding.message]
    preferred = finding.details.get("preferred")
    if preferred and finding.status in ("risk", "reject"):
        lines.append(f"Preferred: {preferred}")
    annotation[NameObject("/Contents")] = TextStringObject("\n".join(line for line in lines if line))
    annotation[NameObject("/T")] = TextStringObject("Doyen")
    annotation[NameObject("/Subj")] = TextStringObject(finding.label)
    annotation[NameObject("/NM")] = TextStringObject(f"{finding.id}-{index + 1}")
    annotation[NameObject("/M")] = TextStringObject(_pdf_date(created))
    annotation[NameObject("/CA")] = FloatObject(0.6)
    writer.add_annotation(index, annotation)


def _to_user_space(page: Any, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two opposite corners of a box in the page's own coordinates.

    Boxes have their origin at the top left of the media box as displayed; a PDF has it at the bottom left before
    ``/Rotate``, and the media box need not start at 0.
    """
    x0, y0, x1, y1 = (float(number) for number in page.mediabox)
    x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    turn = page.rotation % 360
    left, bottom, height = (y0, x0, x1 - x0) if turn in (90, 270) else (x0, y0, y1 - y0)

    def back(x: float, top: float) -> tuple[float, float]:
        right_by, up_by = x - left, height - top - bottom
        if turn == 90:
            return x1 - up_by, right_by + y0
        if turn == 180:
            return x1 - right_by, y1 - up_by
        if turn == 270:
            return up_by + x0, y1 - right_by
        return right_by + x0, up_by + y0

    return back(box.x0, box.top), back(box.x1, box.bottom)


def _pdf_date(created: str) -> str:
    digits = "".join(character for character in created[:19] if character.isdigit())
    return f"D:{digits}"
