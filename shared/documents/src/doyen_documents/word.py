"""DOCX: the text as Word shows it, all changes accepted, with the numbers that Word counts.

Headers and footers are left out; rows of tables are lines with tabs between cells; foot- and endnotes follow at the
end as ``[1] …``. The format has no pages of its own, so the document has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from doyen_documents.numbering import Numbering, W
from doyen_documents.package import Package
from doyen_documents.sections import Heading, find_sections
from doyen_documents.sniff import DOCX
from doyen_schemas import Document, DoyenError

if TYPE_CHECKING:
    from lxml.etree import _Element

MATH: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# Deleted and moved-away text is not part of the contract as it stands; Fallback repeats what Choice holds.
SKIPPED: Final = frozenset({f"{W}del", f"{W}moveFrom", f"{W}rt", f"{W}sdtPr", f"{W}pPr", f"{W}rPr", FALLBACK})
_GIVEN: Final = {f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}


def read_docx(data: bytes, sha256: str, name: str) -> Document:
    """A document of a DOCX file; raises DOC-007, DOC-009, DOC-010 and DOC-011 (see ``Package``)."""
    package = Package(data)
    main = package.part("main")
    body = main.find(f"{W}body") if main is not None else None
    if body is None:
        raise DoyenError(
            "DOC-009", "the DOCX file is damaged: its main part has no body.", "Open and save it in Word."
        )
    writer = _Writer(Numbering(package.part("numbering"), package.part("styles")))
    try:
        writer.blocks(body)
        for role in ("footnote", "endnote"):
            writer.notes(role, package.part(f"{role}s"))
    except RecursionError as error:
        raise DoyenError(
            "DOC-009", "the DOCX file is damaged: its parts nest too deeply.", "Open and save it in Word."
        ) from error
    text = "".join(writer.parts)
    return Document(
        sha256=sha256, name=name, media_type=DOCX, text=text, sections=find_sections(text, writer.headings)
    )


class _Writer:
    """Collects text and headings in the order of the document."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self._length = 0
        self._joins = False  # the last paragraph's mark is deleted: the next one goes on in its line
        self._marks: dict[tuple[str, str], int] = {}

    def blocks(self, parent: Iterable[_Element]) -> None:
        """The paragraphs and tables of a body, cell-free container or text box."""
        for child in parent:
            if child.tag == f"{W}p":
                self.paragraph(child, "\n\n")
            elif child.tag == f"{W}tbl":
                self.table(child)
            elif child.tag not in SKIPPED and isinstance(child.tag, str):
                self.blocks(child)  # w:sdt, w:sdtContent, w:ins, w:customXml

    def paragraph(self, paragraph: _Element, separator: str) -> None:
        """One paragraph with its number; its text boxes follow it."""
        boxes: list[_Element] = []
        text = self._inline(paragraph, boxes)
        properties = paragraph.find(f"{W}pPr")
        mark = properties.find(f"{W}rPr") if properties is not None else None
        goes_on = mark is not None and (
            mark.find(f"{W}del") is not None or mark.find(f"{W}moveFrom") is not None
        )
        if text.strip():
            joins = self._joins
            text = text if joins else text.lstrip(" ")
            text, heading = self._numbered(text if goes_on else text.rstrip(" "), properties)
            self._separate("" if joins else separator)
            start = self._length
            self._write(text)
            if heading is not None and not joins:
                self.headings.append(Heading(start, self._length, heading))
            self._joins = goes_on
        for box in boxes:
            self.blocks(box)

    def table(self, table: _Element) -> None:
        """A table: a line for each row, tabs between cells."""
        self._joins = False
        separator = "\n\n"
        for row in table.iter(f"{W}tr"):
            if next(row.iterancestors(f"{W}tbl"), None) is not table or _is_deleted(row):
                continue
            cells = [
                self._cell(cell) for cell in row.iter(f"{W}tc") if next(cell.iterancestors(f"{W}tr")) is row
            ]
            line = "\t".join(cells).rstrip("\t\n ")
            if line.strip():
                self._separate(separator)
                self._write(line)
                separator = "\n"

    def notes(self, role: str, root: _Element | None) -> None:
        """The notes that the text refers to, in the order of reference."""
        notes = {note.get(f"{W}id"): note for note in root.iter(f"{W}{role}")} if root is not None else {}
        for (kind, key), number in list(self._marks.items()):
            if kind == role and key in notes:
                inner = _Writer(self.numbering)
                inner.blocks(notes[key])
                self._separate("\n\n")
                self._write(f"[{number}] {''.join(inner.parts).strip()}")

    def _cell(self, cell: _Element) -> str:
        inner = _Writer(self.numbering)
        inner._marks = self._marks
        for child in cell:
            if child.tag == f"{W}p":
                inner.paragraph(child, "\n")
            elif isinstance(child.tag, str) and child.tag not in SKIPPED:
                inner.blocks([child])
        return "".join(inner.parts)

    def _numbered(self, text: str, properties: _Element | None) -> tuple[str, int | None]:
        """The paragraph's text after its number, and its heading level if its style makes it a heading."""
        place = self.numbering.of_paragraph(properties)
        if place is not None:
            label, gap = self.numbering.label(*place)
            text = f"{label}{gap if label else ''}{text}"
        style = self.numbering.style(properties)
        own = properties.find(f"{W}outlineLvl") if properties is not None else None
        outline = (
            int(own.get(f"{W}val", "9"))
            if own is not None and own.get(f"{W}val", "").isdigit()
            else style.outline
        )
        if outline is not None and outline < 9:
            return text, outline + 1
        if style.name.startswith("heading ") and style.name[8:].isdigit():
            return text, min(int(style.name[8:]), 9)
        return text, 1 if style.name == "title" else None

    def _inline(self, parent: _Element, boxes: list[_Element]) -> str:
        parts: list[str] = []
        for child in parent:
            tag = child.tag
            if tag in (f"{W}t", f"{MATH}t"):
                parts.append(child.text or "")
            elif tag in _GIVEN:
                parts.append(_GIVEN[tag])
            elif tag in (f"{W}footnoteReference", f"{W}endnoteReference"):
                parts.append(self._mark(child))
            elif tag == f"{W}txbxContent":
                boxes.append(child)
            elif not isinstance(tag, str) or tag in SKIPPED or (tag == f"{W}r" and _is_hidden(child)):
                continue
            elif len(child):
                parts.append(self._inline(child, boxes))
        return "".join(parts)

    def _mark(self, reference: _Element) -> str:
        role = "footnote" if reference.tag == f"{W}footnoteReference" else "endnote"
        key = (role, reference.get(f"{W}id", ""))
        return f"[{self._marks.setdefault(key, len(self._marks) + 1)}]"

    def _separate(self, separator: str) -> None:
        self._joins = False
        if self._length:
            self._write(separator)

    def _write(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)


def _is_hidden(run: _Element) -> bool:
    vanish = run.find(f"{W}rPr/{W}vanish")
    return vanish is not None and vanish.get(f"{W}val", "true") not in ("0", "false", "off")


def _is_deleted(row: _Element) -> bool:
    return row.find(f"{W}trPr/{W}del") is not None
