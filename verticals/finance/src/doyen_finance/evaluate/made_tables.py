"""Made pages with tables of many looks and their structure, for developing the table finder.

``python -m doyen_finance.evaluate.made_tables FOLDER --pages 60 --seed 0`` writes ``made-SEED-NNN.pdf`` (a page each,
printed by headless Chromium) with ``-reg.xml`` and ``-str.xml`` in the format of the ICDAR 2013 competition. The
looks follow statistics offices' and ministries' reports: ruled, half ruled and borderless tables, heads with spans,
cells of several lines, sections, notes, prose around, two columns of print, several languages and fonts.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from random import Random
from typing import Final

WORDS: Final = {
    "en": (
        "the of and in to for with by on from as at is are was were which total annual federal regional public state "
        "education health transport energy industry agriculture employment population households income expenditure "
        "services trade exports imports rate share growth number average median budget programme policy survey "
        "estimate report data period quarter year change level age group women men children workers construction "
        "manufacturing fisheries forestry water waste emissions capacity production demand supply price index"
    ),
    "de": (
        "der die das und in zu für mit von auf als an ist sind wurde Bevölkerung Haushalte Einkommen Ausgaben Anteil "
        "Veränderung gegenüber Vorjahr insgesamt darunter Beschäftigte Unternehmen Umsatz Gesundheit Bildung Verkehr "
        "Energie Landwirtschaft Forschung Wohnungen Gemeinden Länder öffentliche private durchschnittlich jährlich"
    ),
    "fr": (
        "le la les des et en pour avec par sur est sont dans population ménages revenus dépenses taux part croissance "
        "nombre moyenne annuelle services commerce exportations importations emploi santé éducation transports énergie "
        "industrie agriculture évolution ensemble dont femmes hommes enfants travailleurs région département prix"
    ),
    "es": (
        "el la los de y en para con por población hogares ingresos gastos tasa parte crecimiento número media anual "
        "servicios comercio exportaciones importaciones empleo salud educación transporte energía industria provincia "
        "agricultura variación total mujeres hombres niños trabajadores comunidad precios producción demanda"
    ),
    "zh": "人口 收入 支出 教育 卫生 交通 能源 工业 农业 就业 增长 比重 平均 合计 地区 服务 贸易 出口 进口 年度 指数 价格 生产 需求 城镇 农村 居民 企业 投资 建筑",
}  # fmt: skip
FONTS: Final = (
    "Liberation Serif",
    "Liberation Sans",
    "Liberation Sans Narrow",
    "DejaVu Serif",
    "DejaVu Sans",
)
# How cells are ruled; each is a set of CSS rules for a table of class t.
RULES: Final = {
    "grid": "td,th{border:.6pt solid #000}",
    "greygrid": "td,th{border:.5pt solid #bbb} thead th{background:#dde}",
    "outer": "table{border:1pt solid #000} thead tr:last-child th{border-bottom:.6pt solid #000}",
    "columns": (
        "table{border:.8pt solid #000} td,th{border-left:.5pt solid #000} "
        "thead tr:last-child th{border-bottom:.6pt solid #000}"
    ),
    "rows": "tr{border-bottom:.4pt solid #777}",
    "book": "table{border-top:1.2pt solid #000;border-bottom:1.2pt solid #000} thead tr:last-child{border-bottom:.6pt solid #000}",
    "head": "thead tr:last-child th{border-bottom:.8pt solid #000}",
    "partial": "thead th[colspan]{border-bottom:.5pt solid #000} thead tr:last-child th{border-bottom:.5pt solid #000}",
    "zebra": "tbody tr:nth-child(odd) td{background:#eee} thead th{background:#36a;color:#fff}",
    "zebrawhite": "tbody tr:nth-child(odd) td{background:#eef} thead tr:last-child th{border-bottom:.6pt solid #000}",
    "boxhead": "thead th{border:.5pt solid #000} table{border-bottom:.5pt solid #000}",
    "headcolumns": "thead th{border:.5pt solid #000} td{border-left:.5pt solid #000;border-right:.5pt solid #000} table{border-bottom:.5pt solid #000}",
    "shadehead": "thead th{background:#cdd;border:.5pt solid #fff} tr{border-bottom:.3pt solid #999}",
    "none": "",
}  # fmt: skip
# Half of the tables have no or few rules: they are the hard ones.
CHOICES: Final = (
    "grid", "greygrid", "outer", "columns", "rows", "rows", "book", "book", "book", "head", "head", "partial",
    "partial", "zebra", "zebrawhite", "none", "none", "none", "boxhead", "headcolumns", "shadehead",
)  # fmt: skip


@dataclass(slots=True)
class MadeCell:
    """A cell: its text, spans, and how it is set."""

    row: int
    column: int
    text: str
    row_span: int = 1
    column_span: int = 1
    head: bool = False
    align: str = "left"
    indent: int = 0
    mark: str = ""


@dataclass(slots=True)
class MadeTable:
    """Cells row by row and the looks of the table."""

    cells: list[MadeCell] = field(default_factory=list)
    rows: int = 0
    head: int = 1
    style: str = ""
    rules: str = "none"
    grouped: bool = False  # the first column's cells each cover several rows


class Maker:
    """Random tables and prose in one language."""

    def __init__(self, random: Random, language: str) -> None:
        self.random = random
        self.language = language
        self.words = WORDS[language].split()

    def phrase(self, low: int, high: int) -> str:
        words = [self.random.choice(self.words) for _ in range(self.random.randint(low, high))]
        if self.language == "zh":
            return "".join(words)
        text = " ".join(words)
        return text[0].upper() + text[1:]

    def paragraph(self, sentences: int) -> str:
        stop = "。" if self.language == "zh" else ". "
        return stop.join(self.phrase(8, 18) for _ in range(sentences)) + stop.strip()

    def number(self, kind: str, thousands: str, decimal: str) -> str:
        random = self.random
        if random.random() < 0.04:
            return random.choice(("–", "-", "..", "n.a."))
        if kind == "percent":
            text = f"{random.uniform(0, 100):.1f}".replace(".", decimal)
            return random.choice((text, text + "%")) if random.random() < 0.3 else text
        if kind == "small":
            return str(random.randint(0, 99))
        if kind == "money":
            text = f"{random.randint(100, 9_999_999):,}".replace(",", thousands)
            return f"({text})" if random.random() < 0.12 else text
        return f"{random.randint(10, 99_999):,}".replace(",", thousands)

    def table(self, narrow: bool) -> MadeTable:
        random = self.random
        thousands, decimal = {"en": (",", "."), "zh": (",", ".")}.get(
            self.language, random.choice(((" ", ","), (".", ",")))
        )
        columns = random.randint(2, 4) if narrow else random.choice((3, 4, 4, 5, 5, 6, 7, 8, 10))
        kinds = [random.choice(("count", "percent", "money", "small")) for _ in range(columns - 1)]
        texts = random.random() < 0.2 and columns <= 5
        if texts:
            kinds = [random.choice(("text", "text", "count", "date")) for _ in range(columns - 1)]
            if random.random() < 0.3:
                kinds = ["text"] * (columns - 1)
        table = MadeTable(rules=random.choice(CHOICES), grouped=columns >= 4 and random.random() < 0.12)
        if table.grouped:
            kinds[0] = "label"
        align = random.choice(("right", "right", "right", "center", "left"))
        self._head(table, columns, random.choice(("center", "center", align)))
        self._body(table, kinds, align, thousands, decimal)
        table.style = "; ".join(
            (
                f"width:{random.choice(('100%', '100%', 'auto', '80%', '90%'))}",
                "border-collapse:collapse",
                f"margin:{random.choice(('0', '0 auto'))}",
                f"font-size:{random.choice((7, 7.5, 8, 8.5, 9, 10))}pt",
                f"line-height:{random.choice((1.05, 1.15, 1.2, 1.3))}",
                f"--pad:{random.choice((0, 0.5, 1, 1.5, 2, 3))}pt {random.choice((2, 3, 4, 5, 6))}pt",
                f"--valign:{random.choice(('top', 'top', 'middle', 'bottom', 'bottom'))}",
                f"--stub:{random.choice(('auto', '24%', '30%', '40%'))}",
            )
        )
        return table

    def _head(self, table: MadeTable, columns: int, align: str) -> None:
        random = self.random
        years = random.random() < 0.4
        start = random.randint(1995, 2010)

        def name(index: int) -> str:
            if years:
                return str(start + index)
            return self.phrase(1, random.choice((1, 2, 2, 4)))

        stub = "" if random.random() < 0.35 else self.phrase(1, 3)
        if table.grouped:
            table.cells.append(MadeCell(0, 1, self.phrase(1, 2), 1, 1, True, "left"))
            if stub:
                table.cells.append(MadeCell(0, 0, stub, 1, 1, True, "left"))
            table.cells += [MadeCell(0, c, name(c), 1, 1, True, align) for c in range(2, columns)]
            table.head = table.rows = 1
            return
        depth = 2 if columns >= 5 and random.random() < 0.5 else 1
        if stub:
            table.cells.append(MadeCell(0, 0, stub, depth, 1, True, "left"))
        if depth == 1:
            table.cells += [
                MadeCell(0, c, name(c), 1, 1, True, align)
                for c in range(1, columns)
                if random.random() < 0.97
            ]
        else:
            column = 1
            while column < columns:
                width = min(random.choice((1, 2, 2, 3)), columns - column)
                if width == 1:
                    table.cells.append(MadeCell(0, column, name(column), 2, 1, True, align))
                else:
                    table.cells.append(MadeCell(0, column, self.phrase(1, 4), 1, width, True, "center"))
                    table.cells += [
                        MadeCell(1, c, name(c), 1, 1, True, align) for c in range(column, column + width)
                    ]
                column += width
        if random.random() < 0.15:  # a line of units below the head
            unit = random.choice(("%", "EUR", "1 000", "million", "(a)"))
            table.cells += [MadeCell(depth, c, unit, 1, 1, True, align) for c in range(1, columns)]
            depth += 1
        table.head = table.rows = depth

    def _body(self, table: MadeTable, kinds: list[str], align: str, thousands: str, decimal: str) -> None:
        random = self.random
        count = random.choice((3, 4, 5, 6, 8, 10, 12, 15, 20))
        long = random.choice((2, 3, 4, 7, 10))
        sections, blanks, leaders = random.random() < 0.25, random.random() < 0.2, random.random() < 0.08
        numbered, marks = random.random() < 0.1, random.random() < 0.15
        stubs = random.choice(("labels", "labels", "labels", "years"))
        indent = until = 0
        for number in range(count):
            if sections and not table.grouped and (indent == 0 or random.random() < 0.2):
                table.cells.append(MadeCell(table.rows, 0, self.phrase(1, 4)))
                table.rows += 1
                indent = 1
            row = table.rows
            label = self.phrase(1, long)
            if numbered:
                label = f"{row} {label}"
            if leaders:
                label += " ............."
            mark = random.choice("123*ab") if marks and random.random() < 0.3 else ""
            years = kinds and kinds[0] == "count" and stubs == "years"
            if table.grouped:
                if row >= until:
                    height = min(random.randint(2, 4), count - number)
                    table.cells.append(MadeCell(row, 0, self.phrase(1, 3), height))
                    until = row + height
            elif years:
                table.cells.append(MadeCell(row, 0, str(1990 + number)))
            else:
                table.cells.append(MadeCell(row, 0, label, indent=indent, mark=mark))
            for column, kind in enumerate(kinds, start=1):
                if blanks and random.random() < 0.2:
                    continue
                if kind in ("text", "label"):
                    table.cells.append(MadeCell(row, column, self.phrase(1, 9 if kind == "text" else 3)))
                elif kind == "date":
                    day = (
                        f"{random.randint(1, 28):02}.{random.randint(1, 12):02}.{random.randint(1990, 2012)}"
                    )
                    table.cells.append(MadeCell(row, column, day))
                else:
                    text = self.number(kind, thousands, decimal)
                    table.cells.append(MadeCell(row, column, text, align=align))
            table.rows += 1


def table_html(table: MadeTable, name: str) -> str:
    """A table as HTML; ``name`` is the class that carries its rules."""
    lines = [f'<table class="{name}" style="{table.style}">']
    covered: set[tuple[int, int]] = set()
    width = max(cell.column + cell.column_span for cell in table.cells)
    by_row: dict[int, dict[int, MadeCell]] = {}
    for cell in table.cells:
        by_row.setdefault(cell.row, {})[cell.column] = cell
        covered |= {
            (r, c)
            for r in range(cell.row, cell.row + cell.row_span)
            for c in range(cell.column, cell.column + cell.column_span)
        }
    for row in range(table.rows):
        if row in (0, table.head):
            lines.append("<thead>" if row == 0 else "</thead><tbody>")
        tag = "th" if row < table.head else "td"
        lines.append("<tr>")
        for column in range(width):
            found = by_row.get(row, {}).get(column)
            if found is None:
                if (row, column) not in covered:
                    lines.append(f"<{tag}></{tag}>")
                continue
            spans = (f' rowspan="{found.row_span}"' if found.row_span > 1 else "") + (
                f' colspan="{found.column_span}"' if found.column_span > 1 else ""
            )
            mark = f"<sup>{found.mark}</sup>" if found.mark else ""
            style = f"text-align:{found.align}" + (
                f";padding-left:{3 + 9 * found.indent}pt" if found.indent else ""
            )
            lines.append(f'<{tag}{spans} style="{style}">{escape(found.text)}{mark}</{tag}>')
        lines.append("</tr>")
    lines.append("</tbody></table>")
    return "".join(lines)


def make_page(seed: int) -> tuple[str, list[MadeTable]]:
    """The HTML of a page and the tables on it, in reading order."""
    random = Random(seed)
    language = random.choice(("en", "en", "en", "en", "de", "fr", "es", "zh"))
    maker = Maker(random, language)
    font = "Noto Sans CJK SC" if language == "zh" else random.choice(FONTS)
    narrow = random.random() < 0.18
    tables: list[MadeTable] = []
    css: list[str] = []
    parts: list[str] = []

    def prose(most: int) -> None:
        for _ in range(random.randint(0, most)):
            parts.append(f"<p>{escape(maker.paragraph(random.randint(1, 4)))}</p>")

    if random.random() < 0.5:
        parts.append(f"<h3>{escape(maker.phrase(2, 6))}</h3>")
    prose(3)
    for number in range(random.choice((1, 1, 1, 2))):
        table = maker.table(narrow)
        name = f"t{number}"
        css += [f"table.{name} {rule}" if not rule.startswith("table") else rule.replace("table", f"table.{name}", 1)
                for rule in _rules(RULES[table.rules])]  # fmt: skip
        caption = f"Table {random.randint(1, 30)}: {maker.phrase(3, 9)}" if random.random() < 0.7 else ""
        if caption:
            parts.append(f'<p class="caption">{escape(caption)}</p>')
        parts.append(table_html(table, name))
        if random.random() < 0.4:
            parts.append(
                f'<p class="note">{random.choice(("Source", "Note"))}: {escape(maker.phrase(4, 14))}.</p>'
            )
        tables.append(table)
        prose(2)
        if random.random() < 0.1:
            parts.append(
                "<ul>" + "".join(f"<li>{escape(maker.phrase(4, 20))}</li>" for _ in range(3)) + "</ul>"
            )
    body = "".join(parts)
    align = random.choice(("justify", "left"))
    columns = "columns:2;column-gap:18pt" if narrow else ""
    if narrow:
        body = "".join(f"<p>{escape(maker.paragraph(3))}</p>" for _ in range(3)) + body
        body += "".join(f"<p>{escape(maker.paragraph(4))}</p>" for _ in range(5))
    style = (
        f"body{{margin:0;font:{random.choice((9, 10, 11))}pt/1.25 '{font}';height:{random.choice((700, 740))}pt;{columns}}}"
        f"p{{text-align:{align};margin:4pt 0}} .caption{{font-weight:bold;text-align:left}} .note{{font-size:7pt}}"
        "table{break-inside:avoid;margin:4pt 0} th{font-weight:" + random.choice(("bold", "normal")) + "}"
        "td,th{padding:var(--pad);vertical-align:var(--valign)} td:first-child{width:var(--stub)} sup{font-size:65%}"
        + "".join(css)
    )  # fmt: skip
    return f"<style>@page{{size:A4;margin:20mm}}{style}</style><body lang={language}>{body}</body>", tables


def _rules(css: str) -> list[str]:
    return [part.strip() + "}" for part in css.split("}") if part.strip()]


def structure_xml(name: str, tables: list[MadeTable]) -> str:
    """The tables of page 1 in the competition's structure format."""
    lines = [f"<document filename='{name}.pdf'>"]
    for number, table in enumerate(tables, start=1):
        lines += [f"<table id='{number}'><region id='1' page='1' col-increment='0' row-increment='0'>"]
        for index, cell in enumerate(table.cells):
            ends = ""
            if cell.row_span > 1:
                ends += f" end-row='{cell.row + cell.row_span - 1}'"
            if cell.column_span > 1:
                ends += f" end-col='{cell.column + cell.column_span - 1}'"
            text = cell.text.replace(".............", "").strip() + cell.mark
            lines.append(
                f"<cell id='{index}' start-row='{cell.row}' start-col='{cell.column}'{ends}>"
                f"<content>{escape(text)}</content></cell>"
            )
        lines.append("</region></table>")
    return "\n".join([*lines, "</document>", ""])


def make(folder: Path, pages: int, seed: int) -> int:
    """Write pages and their structure; those that do not fit one sheet are left out. Returns how many were written."""
    import pypdfium2

    from doyen_finance.evaluate.render import print_html

    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for number in range(pages):
        html, tables = make_page(1000 * seed + number)
        printed = print_html(f"<!doctype html><head><meta charset=utf-8></head>{html}".encode())
        data = printed.read_bytes()
        document = pypdfium2.PdfDocument(io.BytesIO(data))
        sheets = len(document)
        document.close()
        if sheets != 1:
            continue
        name = f"made-{seed}-{number:03}"
        (folder / f"{name}.pdf").write_bytes(data)
        (folder / f"{name}-str.xml").write_text(structure_xml(name, tables), encoding="utf-8")
        regions = "".join(
            f"<table id='{n}'><region id='1' page='1'/></table>" for n in range(1, len(tables) + 1)
        )
        (folder / f"{name}-reg.xml").write_text(
            f"<document filename='{name}.pdf'>{regions}</document>\n", encoding="utf-8"
        )
        written += 1
    return written


def main() -> None:
    """Write made pages into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{make(options.folder, options.pages, options.seed)} pages written to {options.folder}")


if __name__ == "__main__":
    main()
