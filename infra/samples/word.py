"""Sample contract to DOCX with automatic numbering, running header, footer and page fields (python-docx)."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from itertools import groupby
from pathlib import Path

import docx
from contract import Block, Contract
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Pt, RGBColor
from docx.text.paragraph import Paragraph

DATE = datetime(2025, 1, 2, 9, 0, 0)
# (numFmt, lvlText, left, hanging) per level of the two lists.
CLAUSES = [("decimal", "%1.", 540, 540), ("decimal", "%1.%2", 540, 540), ("lowerLetter", "(%3)", 1020, 480)]
RECITALS = [("upperLetter", "%1.", 540, 400)]
LIST_OF = {"recital": (902, 0), "article": (901, 0), "section": (901, 1), "item": (901, 2)}


def write(contract: Contract, path: Path) -> None:
    """Write the contract as DOCX; the numbers are Word's own, not text."""
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author = contract.head["header"], "Doyen sample"
    properties.created = properties.modified = DATE
    _styles(document)
    _numbering(document)
    for kind, group in groupby(contract.blocks, key=lambda block: block.kind):
        members = list(group)
        if kind == "row":
            _table(document, [row.cells() for row in members])
        elif kind == "signature":
            _signatures(document, members)
        else:
            for block in members:
                _paragraph(document, block)
    _running(document, contract.head)
    buffer = io.BytesIO()
    document.save(buffer)
    path.write_bytes(_fixed_dates(buffer))


def _styles(document: docx.document.Document) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Pt(612), Pt(792)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Pt(72)
    for name, size in (("Normal", 11), ("Heading 1", 11.5), ("Title", 15)):
        style = document.styles[name]
        style.font.name, style.font.size = "Times New Roman", Pt(size)
        style.font.color.rgb = RGBColor(0, 0, 0)
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for attribute in [key for key in fonts.attrib if key.endswith("Theme")]:
            del fonts.attrib[attribute]
        fonts.set(qn("w:hAnsi"), "Times New Roman")
        style.paragraph_format.space_after = Pt(7)
    heading = document.styles["Heading 1"].paragraph_format
    heading.space_before, heading.keep_with_next = Pt(10), True
    title = document.styles["Title"]
    title.font.bold = True
    title.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
    title.paragraph_format.space_after = Pt(14)
    border = title.element.pPr.find(qn("w:pBdr"))
    if border is not None:
        title.element.pPr.remove(border)


def _numbering(document: docx.document.Document) -> None:
    root = document.part.numbering_part.element
    first_num = root.find(qn("w:num"))
    for number, levels in ((901, CLAUSES), (902, RECITALS)):
        xml = "".join(
            f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{fmt}"/><w:lvlText w:val="{text}"/>'
            f'<w:lvlJc w:val="left"/><w:pPr><w:ind w:left="{left}" w:hanging="{hanging}"/></w:pPr></w:lvl>'
            for level, (fmt, text, left, hanging) in enumerate(levels)
        )
        abstract = parse_xml(
            f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{number}">'
            f'<w:multiLevelType w:val="multilevel"/>{xml}</w:abstractNum>'
        )
        first_num.addprevious(abstract)  # the schema wants every abstractNum before the first num
        root.append(
            parse_xml(f'<w:num {nsdecls("w")} w:numId="{number}"><w:abstractNumId w:val="{number}"/></w:num>')
        )


def _paragraph(document: docx.document.Document, block: Block) -> None:
    style = {"title": "Title", "exhibit": "Title", "article": "Heading 1"}.get(block.kind, "Normal")
    paragraph = document.add_paragraph(style=style)
    if block.kind == "exhibit":
        paragraph.paragraph_format.page_break_before = True
    if block.kind == "centre":
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        paragraph.paragraph_format.keep_with_next = True
    if block.kind in LIST_OF:
        number, level = LIST_OF[block.kind]
        properties = paragraph._p.get_or_add_pPr().get_or_add_numPr()
        properties.get_or_add_ilvl().val = level
        properties.get_or_add_numId().val = number
    if block.kind in ("paragraph", "recital", "section", "item"):
        paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
    for mark, text in block.spans():
        run = paragraph.add_run(text)
        run.bold = True if mark == "b" or block.kind == "centre" else None
        run.italic = True if mark == "i" else None


def _table(document: docx.document.Document, rows: list[list[str]]) -> None:
    table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
    for index, row in enumerate(rows):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.paragraphs[0].add_run(text).bold = index == 0 or None
    document.add_paragraph()


def _signatures(document: docx.document.Document, blocks: list[Block]) -> None:
    document.paragraphs[-1].paragraph_format.keep_with_next = True
    table = document.add_table(rows=1, cols=len(blocks))
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
    for cell, block in zip(table.rows[0].cells, blocks, strict=True):
        party, name, title = block.cells()
        cell.paragraphs[0].add_run(party).bold = True
        for line in ("By: ____________________________", f"Name: {name}", f"Title: {title}"):
            cell.add_paragraph(line)
        cell.add_paragraph("Date: ___________________________")


def _running(document: docx.document.Document, head: dict[str, str]) -> None:
    section = document.sections[0]
    section.header.paragraphs[0].add_run(head["header"]).italic = True
    footer = section.footer.paragraphs[0]
    footer.add_run(f"{head['footer']}  ·  Page ").font.size = Pt(8.5)
    _field(footer, "PAGE")
    footer.add_run(" of ").font.size = Pt(8.5)
    _field(footer, "NUMPAGES")


def _field(paragraph: Paragraph, code: str) -> None:
    for kind, text in (("begin", ""), ("", code), ("separate", ""), ("value", "1"), ("end", "")):
        run = paragraph.add_run()
        run.font.size = Pt(8.5)
        if kind == "value":
            run.text = text
            continue
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        run._r.append(element)


def _fixed_dates(buffer: io.BytesIO) -> bytes:
    """The same package with every member dated DATE, so that equal sources give equal bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(buffer) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            member = zipfile.ZipInfo(name, DATE.timetuple()[:6])
            target.writestr(member, source.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()
