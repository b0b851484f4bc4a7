"""Tables of scans: words by OCR, then the same finder as for PDFs, and for each table the structure model's reading."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from doyen_documents.ocr import ScannedPage, read_scan, shown_box
from doyen_documents.tables.find import tables_of_words
from doyen_documents.tables.grid import to_table
from doyen_documents.tables.model import Table, Word
from doyen_documents.tables.structure import PlacedCell, fill_cells, image_cells
from doyen_schemas.document import Box

# What the structure model must win by: its boxes are coarser than the words'.
WIN: Final = 0.05
# Print around a table that is shown to the structure model, in points.
MARGIN: Final = 8.0


@dataclass(frozen=True, slots=True)
class ScanTables:
    """Tables of a scanned page; ``structure`` says whether the structure model took part in choosing.

    The tables' boxes are on the page as scanned, those of ``page`` in its level frame (see ``ScannedPage``).
    """

    page: ScannedPage
    tables: tuple[Table, ...]
    structure: bool


def tables_of_scan(
    path: str | os.PathLike[str], pages: Sequence[int] | None = None, structure: Path | None = None
) -> Iterator[ScanTables]:
    """Read the tables of an image file (PNG, JPEG, TIFF) or of a PDF's page pictures.

    ``structure`` is the file slanet-plus.onnx; without it words and rules alone decide. Errors as ``page_images``,
    and DOC-019 for a structure model that is not there.
    """
    for page in read_scan(path, pages):
        yield tables_of_scanned(page, structure)


def tables_of_scanned(page: ScannedPage, structure: Path | None = None) -> ScanTables:
    """The tables of a page that was read."""
    tables = [
        _better(page, table, structure) if structure is not None else table
        for table in tables_of_words(page.words, page.number, page.width, page.height, page.rules)
    ]
    return ScanTables(page, tuple(_shown(page, table) for table in tables), structure is not None)


def _better(page: ScannedPage, table: Table, structure: Path) -> Table:
    """The structure model's reading of a table where it fits the words better."""
    box = table.box
    x0, top = max(0.0, box.x0 - MARGIN), max(0.0, box.top - MARGIN)
    scale = page.image.dpi / 72
    crop = page.image.pixels[
        int(top * scale) : int((box.bottom + MARGIN) * scale),
        int(x0 * scale) : int((box.x1 + MARGIN) * scale),
    ]
    if min(crop.shape[:2]) < 8:
        return table
    cells = [
        PlacedCell(
            *cell[:4],
            x0 + cell.x0 / scale,
            top + cell.top / scale,
            x0 + cell.x1 / scale,
            top + cell.bottom / scale,
        )
        for cell in image_cells(crop, structure)
    ]
    inside = [word for word in page.words if _within(word, box)]
    other = to_table(fill_cells(cells, inside), page.number, "image")
    if other is None or other.rows < 2 or other.columns < 2 or other.score < table.score + WIN:
        return table
    return other


def _within(word: Word, box: Box) -> bool:
    x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
    return box.x0 <= x <= box.x1 and box.top <= y <= box.bottom


def _shown(page: ScannedPage, table: Table) -> Table:
    if not page.angle:
        return table

    def shown(box: Box) -> Box:
        x0, top, x1, bottom = shown_box(page, box.x0, box.top, box.x1, box.bottom)
        return Box(page=box.page, x0=x0, top=top, x1=x1, bottom=bottom)

    return replace(
        table,
        box=shown(table.box),
        cells=tuple(replace(cell, box=shown(cell.box)) for cell in table.cells),
    )
