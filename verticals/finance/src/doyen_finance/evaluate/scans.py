"""``--protocol scans``: the statement pages of inline XBRL reports as noisy page images, scored like the PDFs.

The cover and the pages that hold the primary statements are drawn at 200 dpi, degraded (``scans.degrade``) and read by
OCR; which pages these are is taken from the parse of the printed PDF, whose value recall on the same reports is
printed beside (``digital_value_recall``).
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from doyen_finance.evaluate.ixbrl import Outcome, reports, score, summary
from doyen_finance.evaluate.render import print_html
from doyen_finance.statements.model import Report
from doyen_schemas import DoyenError


def evaluate_file(data: Path, limit: int | None = None) -> dict[str, Any]:
    """The figures of the ixbrl protocol over scans; about ten seconds a page. Raises FIN-001, FIN-012, FIN-013, DOC-018."""
    from doyen_finance.statements import parse

    scanned: list[Outcome] = []
    digital: list[Outcome] = []
    for number, (name, content) in enumerate(reports(data, limit)):
        printed: dict[bytes, Report] = {}

        def parse_print(html: bytes, printed: dict[bytes, Report] = printed) -> Report:
            printed[html] = parse(print_html(html))
            return printed[html]

        def parse_images(html: bytes, number: int = number, printed: dict[bytes, Report] = printed) -> Report:
            if html not in printed:
                raise DoyenError("FIN-011", "the printed report has no statement.", "See protocol ixbrl.")
            return parse_degraded(print_html(html), printed[html], number)

        digital.append(score(name, content, parse_print))
        scanned.append(score(name, content, parse_images))
    if not scanned:
        raise DoyenError(
            "FIN-012", f"no inline XBRL report in {data}.", "Name a folder or tar of .htm or .html files."
        )
    result = summary(scanned)
    before = summary(digital)
    return {
        "protocol": "scans",
        "dpi": 200,
        **result,
        "digital_value_recall": before["value_recall"],
        "digital_cell_f1": before["cell_f1"],
    }


def parse_degraded(pdf: Path, printed: Report, seed: int) -> Report:
    """The statements of a printed PDF's cover and statement pages after scanning. Raises FIN-011."""
    from doyen_documents.ocr import read_image
    from doyen_documents.ocr_image import page_images
    from doyen_finance.scans.degrade import degrade
    from doyen_finance.scans.read import report_of

    numbers = sorted({1} | {page for statement in printed.statements for page in statement.pages})
    started = time.monotonic()
    pages = [
        read_image(page._replace(pixels=degrade(page.pixels, 1000 * seed + page.number)))
        for page in page_images(pdf, numbers)
    ]
    return report_of(pages, pdf.name, hashlib.sha256(pdf.read_bytes()).hexdigest(), started)
