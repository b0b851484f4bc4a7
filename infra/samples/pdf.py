"""Sample contract to PDF with running header, footer and page numbers (reportlab)."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from contract import Block, Contract
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

rl_config.invariant = 1  # no time stamps or random ids: the same bytes every time

BODY = ParagraphStyle(
    "body",
    fontName="Times-Roman",
    fontSize=10.8,
    leading=14,
    alignment=TA_JUSTIFY,
    spaceAfter=7,
    bulletFontName="Times-Roman",
    bulletFontSize=10.8,
)
STYLES = {
    "paragraph": BODY,
    "title": ParagraphStyle(
        "title", BODY, fontName="Times-Bold", fontSize=14.5, leading=19, alignment=TA_CENTER, spaceAfter=16
    ),
    "centre": ParagraphStyle(
        "centre", BODY, fontName="Times-Bold", alignment=TA_CENTER, spaceBefore=6, keepWithNext=1
    ),
    "recital": ParagraphStyle("recital", BODY, leftIndent=30, bulletIndent=8),
    "article": ParagraphStyle(
        "article",
        BODY,
        fontName="Times-Bold",
        bulletFontName="Times-Bold",
        fontSize=11.4,
        spaceBefore=9,
        leftIndent=30,
        keepWithNext=1,
    ),
    "section": ParagraphStyle("section", BODY, leftIndent=30),
    "item": ParagraphStyle("item", BODY, leftIndent=56, bulletIndent=32, spaceAfter=5),
    "cell": ParagraphStyle("cell", BODY, fontSize=9.6, leading=12, alignment=0, spaceAfter=0),
}


class NumberedCanvas(Canvas):
    """Draws the running header and footer at the end, when the number of pages is known."""

    head: dict[str, str]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._states: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._states.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for state in self._states:
            self.__dict__.update(state)
            width, height = LETTER
            self.setFont("Times-Italic", 8.8)
            self.setFillGray(0.3)
            if self._pageNumber > 1:
                self.drawString(72, height - 46, self.head["header"])
                self.line(72, height - 51, width - 72, height - 51)
            self.drawString(72, 40, self.head["footer"])
            self.drawRightString(width - 72, 40, f"Page {self._pageNumber} of {len(self._states)}")
            super().showPage()
        super().save()


def write(contract: Contract, path: Path) -> None:
    """Write the contract as PDF."""
    document = BaseDocTemplate(
        str(path), pagesize=LETTER, leftMargin=72, rightMargin=72, topMargin=68, bottomMargin=68,
        title=contract.head["header"], author="Doyen sample", lang="en-US",
    )  # fmt: skip
    frame = Frame(72, 68, LETTER[0] - 144, LETTER[1] - 136, leftPadding=0, rightPadding=0)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    canvas = type("ContractCanvas", (NumberedCanvas,), {"head": contract.head})
    document.build(_story(contract.blocks), canvasmaker=canvas)


def _story(blocks: list[Block]) -> list[Flowable]:
    story: list[Flowable] = []
    for kind, group in groupby(blocks, key=lambda block: block.kind):
        members = list(group)
        if kind == "row":
            story += [_table(members), Spacer(1, 10)]
        elif kind == "signature":
            story.append(_signatures(members, story.pop()))  # never alone on a page
        elif kind == "exhibit":
            for block in members:
                story += [PageBreak(), Paragraph(escape(block.text), STYLES["title"])]
        else:
            story += [
                Paragraph(_markup(block), STYLES[kind], bulletText=block.number or None) for block in members
            ]
    return story


def _markup(block: Block) -> str:
    return "".join(f"<{s}>{escape(t)}</{s}>" if s else escape(t) for s, t in block.spans())


def _table(rows: list[Block]) -> Table:
    cells = [[Paragraph(escape(cell), STYLES["cell"]) for cell in row.cells()] for row in rows]
    table = Table(cells, hAlign="LEFT", repeatRows=1)
    style = [
        ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    table.setStyle(TableStyle(style))
    return table


def _signatures(blocks: list[Block], lead: Flowable) -> Flowable:
    columns: list[list[Flowable]] = []
    for block in blocks:
        party, name, title = block.cells()
        lines = [f"<b>{escape(party)}</b>", "", "By: ____________________________", f"Name: {escape(name)}"]
        lines += [f"Title: {escape(title)}", "Date: ___________________________"]
        columns.append([Paragraph(line or "&nbsp;", STYLES["cell"]) for line in lines])
    table = Table([columns], colWidths=[234, 234], hAlign="LEFT")
    table.setStyle(TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")]))
    return KeepTogether([lead, Spacer(1, 10), table])
