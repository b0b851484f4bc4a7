"""A report as one page: each statement beside the images of its pages, its numbers marked on them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from doyen_documents.reader import file_bytes
from doyen_finance.statements.as_xlsx import period_text
from doyen_finance.statements.model import Report, Statement
from doyen_finance.statements.page_text import page_images

# How many pages' images a report may hold.
MAX_IMAGES: Final = 40
TEMPLATE: Final = Path(__file__).with_name("report.html.j2")


def as_html(report: Report, pdf: Path) -> str:
    """The page, without scripts or anything from elsewhere; all text is escaped.

    Raises DOC-001 to DOC-014 where the file can no longer be read.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    wanted = list(dict.fromkeys(page for statement in report.statements for page in statement.pages))[
        :MAX_IMAGES
    ]
    images = _images(pdf, wanted)
    sizes = {page.number: page for page in report.pages}
    return template.render(
        report=report,
        statements=[_view(number, statement) for number, statement in enumerate(report.statements)],
        images=images,
        sizes=sizes,
    )


def _images(file: Path, wanted: Sequence[int]) -> dict[int, str]:
    """The pages of a PDF or image file as base64 of JPEG files, by number."""
    data = file_bytes(file)
    if b"%PDF-" in data[:1024]:
        return page_images(data, wanted)
    from PIL import Image

    from doyen_documents.ocr_image import page_images as scans

    found = {}
    for page in scans(file, wanted):
        stream = BytesIO()
        Image.fromarray(page.pixels).save(stream, "JPEG", quality=75)
        found[page.number] = base64.b64encode(stream.getvalue()).decode()
    return found


def _view(number: int, statement: Statement) -> dict[str, Any]:
    cells = {(value.row, value.column): value for value in statement.values}
    failed = {(check.row, check.column) for check in statement.checks if not check.passed}
    return {
        "number": number,
        "statement": statement,
        "headings": [c.label if c.period is None else period_text(c.period) for c in statement.columns],
        "rows": [
            (
                row,
                [
                    (cells.get((row.index, c.index)), (row.index, c.index) in failed)
                    for c in statement.columns
                ],
            )
            for row in statement.rows
        ],
        "marks": {page: [v for v in statement.values if v.box.page == page] for page in statement.pages},
        "failed": failed,
    }
