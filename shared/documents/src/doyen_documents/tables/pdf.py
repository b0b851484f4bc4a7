"""Tables of a PDF: words and rules of each page from the guarded process, then the finder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from doyen_documents.layout import Word as PrintWord
from doyen_documents.pdf import ERRORS, page_records, to_page
from doyen_documents.reader import file_bytes
from doyen_documents.tables.find import tables_of_words
from doyen_documents.tables.model import Table, Word
from doyen_documents.tables.rules import Rule
from doyen_schemas import DoyenError
from doyen_schemas.document import Box

# Simplified radicals for which Unicode has no compatibility mapping.
RADICALS: Final = str.maketrans(
    "⺠⻅⻆⻉⻋⻓⻔⻘⻚⻛⻜⻝⻢⻣⻤⻥⻦⻨⻩⻬⻮⻰⻄", "民见角贝车长门青页风飞食马骨鬼鱼鸟麦黄齐齿龙西"
)


@dataclass(frozen=True, slots=True)
class PageContent:
    """Words and rules of a page in the frame in which most of its text runs left to right.

    Attributes:
        number: from 1.
        width, height: of the page as shown, in points.
        turn: degrees against the clock by which the frame is turned from the page as shown (0, 90, 180, 270).
        words, rules: in the frame; at turn 0 that is the page as shown.
        needs_ocr: the page is a picture without text, or its fonts cannot be read.
    """

    number: int
    width: float
    height: float
    turn: int
    words: tuple[Word, ...]
    rules: tuple[Rule, ...]
    needs_ocr: bool


def tables_of_pdf(path: str | os.PathLike[str], pages: Sequence[int] | None = None) -> list[Table]:
    """The tables of a PDF, page by page from the top; boxes on the pages as shown. Raises DOC-001 to DOC-016."""
    return [table for content in read_pages(path, pages) for table in tables_of_page(content)]


def read_pages(path: str | os.PathLike[str], pages: Sequence[int] | None = None) -> Iterator[PageContent]:
    """Words and rules of all pages, or of those named (from 1). Raises DOC-001 to DOC-016."""
    data = file_bytes(Path(path))
    if not data.startswith(b"%PDF") and b"%PDF-" not in data[:1024]:
        raise DoyenError("DOC-006", f"{Path(path).name} is not a PDF.", "Name a PDF file.")
    if b"%%EOF" not in data[-16_384:]:
        raise DoyenError(*ERRORS["truncated"])
    options = ["--rules"]
    if pages is not None:
        options += ["--pages", ",".join(str(int(page)) for page in pages)]
    found = 0
    for record in page_records(data, *options):
        found += 1
        yield page_content(record)
    if pages and not found:
        raise DoyenError(
            "DOC-016",
            f"{Path(path).name} has none of the pages {', '.join(map(str, list(pages)[:10]))}.",
            "Pages are counted from 1.",
        )


def page_content(record: dict[str, Any]) -> PageContent:
    """The content of a worker's record (``pdf_worker.page_record``) in its main direction."""
    width, height = record["width"], record["height"]
    frames = record["words"]
    turn = int(max(frames, key=lambda direction: len(frames[direction]))) if frames else 0
    # Turning back is turning by the rest of the circle; the frame's sides change places at a quarter.
    sides = (height, width) if turn in (90, 270) else (width, height)
    rules = tuple(
        Rule(*_turned(rule[:4], (360 - turn) % 360, *sides), rule[4]) for rule in record.get("rules", ())
    )
    return PageContent(
        number=record["number"], width=width, height=height, turn=turn,
        words=tuple(Word(plain(text), *box) for text, *box in frames.get(str(turn), ())),
        rules=rules, needs_ocr=record["needs_ocr"],
    )  # fmt: skip


def plain(text: str) -> str:
    """Text with ligatures and the radicals that CJK fonts print for characters as the letters meant."""
    if text.isascii():
        return text
    return "".join(
        unicodedata.normalize("NFKC", c) if "\u2e80" <= c <= "\u2fdf" or "\ufb00" <= c <= "\ufb06" else c
        for c in text.translate(RADICALS)
    )


def tables_of_page(content: PageContent) -> list[Table]:
    """The tables of a page; boxes on the page as shown."""
    sides = (content.width, content.height)
    if content.turn in (90, 270):
        sides = (content.height, content.width)
    tables = tables_of_words(content.words, content.number, *sides, content.rules)
    if not content.turn:
        return tables

    def shown(box: Box) -> Box:
        edges = (box.x0, box.top, box.x1, box.bottom)
        return Box(
            page=box.page,
            **dict(
                zip(
                    ("x0", "top", "x1", "bottom"),
                    _turned(edges, content.turn, content.width, content.height),
                    strict=True,
                )
            ),
        )

    return [
        replace(
            table,
            box=shown(table.box),
            cells=tuple(replace(cell, box=shown(cell.box)) for cell in table.cells),
        )
        for table in tables
    ]


def _turned(
    edges: Sequence[float], turn: int, width: float, height: float
) -> tuple[float, float, float, float]:
    return to_page(PrintWord("", *edges), turn, width, height)


def page_words(page: Any) -> list[Word]:
    """The words of an open ``pdfplumber`` page in its main direction."""
    from doyen_documents.pdf_worker import page_record

    record = page_record(page) | {"number": page.page_number, "rules": ()}
    return list(page_content(record).words)
