"""``--protocol icdar2013``: tables of PDFs against the XML of the ICDAR 2013 table competition.

Göbel, Hassan, Oro, Orsi: ICDAR 2013 Table Competition. The measure is theirs (A Methodology for Evaluating
Algorithms for Table Understanding in PDF Documents, DocEng 2012): each cell with content is paired with its nearest
such cell to the right and below; precision and recall are those of the pairs, compared by content. The pages with
tables are read from the XML, the tables' regions are not: finding them is part of the task.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from lxml import etree

from doyen_documents.tables import Table, tables_of_pdf
from doyen_evaluation.resample import ratio_ci
from doyen_schemas import DoyenError

Relation = tuple[str, str, str]
MAX_SPAN: Final = 1_000
SPECIAL: Final = re.compile(r"[\W_]+")


class GridCell(NamedTuple):
    """A cell of a reference or of a found table: rows and columns from 0, ends included, and its text."""

    row: int
    column: int
    last_row: int
    last_column: int
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A document of the competition: its PDF, the pages that hold tables, and the tables' cells."""

    pdf: Path
    pages: tuple[int, ...]
    tables: tuple[tuple[GridCell, ...], ...]


@dataclass(slots=True)
class Count:
    """Pairs in the reference, pairs found, and pairs in both; for one document."""

    expected: int = 0
    found: int = 0
    right: int = 0


@dataclass(slots=True)
class Run:
    """The counts of a way to find tables, document by document."""

    counts: list[Count] = field(default_factory=list)

    def figures(self, prefix: str = "") -> dict[str, float]:
        """Micro figures over all pairs, and the means of the documents' precision and recall with their F1."""
        total = Count(*(sum(values) for values in zip(*map(_triple, self.counts), strict=True)))
        precision, recall, f1 = rates(total)
        mean_precision = float(np.mean([rates(count)[0] for count in self.counts]))
        mean_recall = float(np.mean([rates(count)[1] for count in self.counts]))
        return {
            f"{prefix}precision": round(precision, 4),
            f"{prefix}recall": round(recall, 4),
            f"{prefix}f1": round(f1, 4),
            f"{prefix}document_precision": round(mean_precision, 4),
            f"{prefix}document_recall": round(mean_recall, 4),
            f"{prefix}document_f1": round(_f1(mean_precision, mean_recall), 4),
        }


def evaluate_file(data: Path, limit: int | None = None) -> dict[str, Any]:
    """Score the table finder on a folder searched recursively; raises FIN-030 where it holds no document.

    ``f1``, ``precision`` and ``recall`` are micro figures over the pairs of all documents, ``document_*`` the means
    over documents; ``floor_*`` is pdfplumber with its defaults on the same pages.
    """
    references, unread = find_references(data)
    references = references[:limit]
    ours, floor = Run(), Run()
    failed = unread[:]
    seconds = pages = 0.0
    for reference in references:
        expected = Counter(r for table in reference.tables for r in relations(table))
        started = _processor_seconds()
        try:
            tables = tables_of_pdf(reference.pdf, reference.pages)
        except DoyenError as error:
            failed.append(f"{reference.pdf.name}: {error.code}")
            tables = []
        except Exception as error:  # a fault of the finder costs its document, not the run
            failed.append(f"{reference.pdf.name}: {type(error).__name__}")
            tables = []
        seconds += _processor_seconds() - started
        pages += len(reference.pages)
        ours.counts.append(count(expected, (cells_of(table) for table in tables)))
        floor.counts.append(count(expected, _default_tables(reference)))
    return {
        "protocol": "icdar2013",
        "measure": "adjacency pairs; pages given, regions not; f1 is micro over all pairs",
        **ours.figures(),
        **floor.figures("floor_"),
        "n": len(references),
        "tables": sum(len(reference.tables) for reference in references),
        "processor_seconds_per_page": round(seconds / max(pages, 1), 3),
        "failed": failed,
        "ci95": _intervals(ours.counts),
    }


def _processor_seconds() -> float:
    """Processor time of this process and of those that it waited for: PDFs are parsed in one of their own."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def find_references(data: Path) -> tuple[list[Reference], list[str]]:
    """The documents of a folder: each ``NAME.pdf`` with ``NAME-str.xml`` beside it. Raises FIN-030.

    FIN-031 is raised where no structure file can be read. With the documents the names, with code, of structure files that cannot be read: these documents cannot be scored.
    """
    references: list[Reference] = []
    unread: list[str] = []
    damage: DoyenError | None = None
    for structure in sorted(data.rglob("*-str.xml")) if data.is_dir() else ():
        stem = structure.name.removesuffix("-str.xml")
        pdf = structure.with_name(f"{stem}.pdf")
        # "._NAME" is what macOS puts beside a file that it copies or packs.
        if not pdf.is_file() or stem.startswith("._"):
            continue
        try:
            references.append(read_reference(pdf, structure, structure.with_name(f"{stem}-reg.xml")))
        except DoyenError as error:
            unread.append(f"{structure.name}: {error.code}")
            damage = damage or error
    if damage is not None and not references:
        raise damage
    if not references:
        raise DoyenError(
            "FIN-030",
            f"{data} holds no PDF with a NAME-str.xml beside it.",
            "Name the folder with the PDFs and XML files of the ICDAR 2013 table competition.",
        )
    return references, unread


def read_reference(pdf: Path, structure: Path, regions: Path) -> Reference:
    """The cells of a structure file, and the pages of it and of the region file, if any. Raises FIN-031."""
    pages: set[int] = set()
    tables: list[tuple[GridCell, ...]] = []
    for table in _tables(structure):
        parts: list[list[GridCell]] = []
        for region in _children(table, "region"):
            pages.add(_number(region, "page", structure, 1))
            down = _number(region, "row-increment", structure, 0)
            across = _number(region, "col-increment", structure, 0)
            cells = [_cell(node, down, across, structure) for node in _children(region, "cell")]
            if parts and not down and not across:
                # Without an offset a further region is a table of its own: its cells would lie on the first's.
                parts.append(cells)
            elif parts:
                parts[0] += cells
            else:
                parts.append(cells)
        tables += [tuple(part) for part in parts]
    if regions.is_file():
        pages |= {
            _number(region, "page", regions, 1)
            for table in _tables(regions)
            for region in _children(table, "region")
        }
    return Reference(pdf, tuple(sorted(pages)), tuple(tables))


def _tables(path: Path) -> list[Any]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    try:
        root = etree.fromstring(path.read_bytes(), parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        raise DoyenError("FIN-031", f"{path.name} is no XML.", "Fetch the file again.")
    return list(root.iter("{*}table"))


def _children(node: Any, name: str) -> list[Any]:
    return list(node.iter("{*}" + name))


def _number(node: Any, name: str, path: Path, default: int) -> int:
    text = node.get(name)
    if text is None or not text.strip():
        return default
    try:
        return int(text)
    except ValueError:
        raise DoyenError(
            "FIN-031", f"{path.name}: {name}={text!r} is no whole number.", "Mend the file."
        ) from None


def _cell(node: Any, down: int, across: int, path: Path) -> GridCell:
    row = _number(node, "start-row", path, 0) + down
    column = _number(node, "start-col", path, 0) + across
    last_row = max(row, _number(node, "end-row", path, row - down) + down)
    last_column = max(column, _number(node, "end-col", path, column - across) + across)
    if max(last_row - row, last_column - column) > MAX_SPAN:
        raise DoyenError(
            "FIN-031", f"{path.name}: a cell spans more than {MAX_SPAN} rows or columns.", "Mend the file."
        )
    return GridCell(
        row,
        column,
        last_row,
        last_column,
        " ".join(content.text or "" for content in _children(node, "content")),
    )


def cells_of(table: Table) -> list[GridCell]:
    """The cells of a found table."""
    return [
        GridCell(c.row, c.column, c.row + c.row_span - 1, c.column + c.column_span - 1, c.text)
        for c in table.cells
    ]


def normal(text: str) -> str:
    """Content as it is compared: lower case, without white space and special characters.

    A cell of special characters alone is an underscore, since it is not blank.
    """
    return SPECIAL.sub("", text).casefold() or ("_" if text.strip() else "")


def relations(cells: Sequence[GridCell]) -> list[Relation]:
    """The pairs of a table: each cell with its nearest neighbours to the right and below, blank cells skipped."""
    filled = [cell for cell in cells if normal(cell.text)]
    owner: dict[tuple[int, int], int] = {}
    for index, cell in enumerate(filled):
        for row in range(cell.row, cell.last_row + 1):
            for column in range(cell.column, cell.last_column + 1):
                owner.setdefault((row, column), index)
    rows: dict[int, list[tuple[int, int]]] = {}
    columns: dict[int, list[tuple[int, int]]] = {}
    for (row, column), index in owner.items():
        rows.setdefault(row, []).append((column, index))
        columns.setdefault(column, []).append((row, index))
    pairs: set[tuple[int, int, str]] = set()
    for direction, lines in (("right", rows), ("below", columns)):
        for line in lines.values():
            line.sort()
            pairs |= {
                (first, second, direction) for (_, first), (_, second) in pairwise(line) if first != second
            }
    return [(normal(filled[a].text), normal(filled[b].text), way) for a, b, way in sorted(pairs)]


def count(expected: Counter[Relation], tables: Iterable[Sequence[GridCell]]) -> Count:
    """Expected, found and right pairs of a document; each expected pair is matched once."""
    found = Counter(relation for table in tables for relation in relations(table))
    return Count(expected.total(), found.total(), (expected & found).total())


def rates(count: Count) -> tuple[float, float, float]:
    """Precision, recall and F1; precision is 1 where nothing was found and nothing expected, else 0."""
    if not count.expected and not count.found:
        return 1.0, 1.0, 1.0
    precision = count.right / count.found if count.found else 0.0
    recall = count.right / count.expected if count.expected else 0.0
    return precision, recall, _f1(precision, recall)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _triple(count: Count) -> tuple[int, int, int]:
    return count.expected, count.found, count.right


def _intervals(counts: Sequence[Count]) -> dict[str, list[float]]:
    """95 % intervals of the micro figures, documents drawn with replacement."""
    expected, found, right = np.array([_triple(count) for count in counts], dtype=np.float64).T
    bounds = {
        "precision": ratio_ci(right, found),
        "recall": ratio_ci(right, expected),
        "f1": ratio_ci(2 * right, found + expected),
    }
    return {name: [round(end, 4) for end in pair] for name, pair in bounds.items() if pair}


def _default_tables(reference: Reference) -> list[list[GridCell]]:
    """What pdfplumber finds with its defaults."""
    import pdfplumber

    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    tables: list[list[GridCell]] = []
    try:
        with pdfplumber.open(reference.pdf) as pdf:
            for number in reference.pages:
                if not 1 <= number <= len(pdf.pages):
                    continue
                for rows in pdf.pages[number - 1].extract_tables():
                    tables.append(
                        [
                            GridCell(r, c, r, c, text)
                            for r, row in enumerate(rows)
                            for c, text in enumerate(row)
                            if text
                        ]
                    )
                pdf.pages[number - 1].close()
    except Exception:  # pdfminer raises errors of many kinds on damaged files; the floor then finds nothing
        return tables
    return tables
