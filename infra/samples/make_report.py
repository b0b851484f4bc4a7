"""Make the sample report of doyen-finance: an invented company's statements as PDF, and news about it.

    uv run --no-sync python infra/samples/make_report.py [OUT]

The same script gives the same bytes. Needs reportlab.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reportlab.lib.pagesizes import LETTER
from reportlab.pdfgen.canvas import Canvas

PACKAGE = Path(__file__).resolve().parents[2] / "verticals/finance/src/doyen_finance/samples"
LEFT, SECOND, FIRST = 72, 540, 440
Row = tuple[str, str, str]

BALANCE: tuple[Row, ...] = (
    ("ASSETS", "", ""),
    ("Current assets:", "", ""),
    ("  Cash and cash equivalents", "$ 1,284.5", "$ 1,102.3"),
    ("  Accounts receivable, net", "642.1", "588.0"),
    ("  Inventories", "415.9", "431.2"),
    ("Total current assets", "2,342.5", "2,121.5"),
    ("Property, plant and equipment, net", "1,897.0", "1,760.4"),
    ("Goodwill", "310.5", "310.5"),
    ("Total assets", "$ 4,550.0", "$ 4,192.4"),
    ("LIABILITIES AND STOCKHOLDERS' EQUITY", "", ""),
    ("Current liabilities:", "", ""),
    ("  Accounts payable", "$ 398.2", "$ 371.9"),
    ("  Accrued liabilities", "254.8", "240.1"),
    ("Total current liabilities", "653.0", "612.0"),
    ("Long-term debt", "1,250.0", "1,300.0"),
    ("Total liabilities", "1,903.0", "1,912.0"),
    ("Common stock", "120.0", "120.0"),
    ("Retained earnings", "2,559.5", "2,181.8"),
    ("Accumulated other comprehensive loss", "(32.5)", "(21.4)"),
    ("Total stockholders' equity", "2,647.0", "2,280.4"),
    ("Total liabilities and stockholders' equity", "$ 4,550.0", "$ 4,192.4"),
)
INCOME: tuple[Row, ...] = (
    ("Net sales", "$ 3,908.4", "$ 3,612.7"),
    ("Cost of sales", "2,301.6", "2,188.9"),
    ("Gross profit", "1,606.8", "1,423.8"),
    ("Selling, general and administrative expenses", "802.2", "771.0"),
    ("Research and development expenses", "214.0", "190.3"),
    ("Operating income", "590.6", "462.5"),
    ("Interest expense", "(52.9)", "(58.1)"),
    ("Income before income taxes", "537.7", "404.4"),
    ("Provision for income taxes", "112.0", "84.9"),
    ("Net income", "$ 425.7", "$ 319.5"),
    ("Basic earnings per share", "$ 3.55", "$ 2.66"),
)
CASH: tuple[Row, ...] = (
    ("Cash flows from operating activities:", "", ""),
    ("  Net income", "$ 425.7", "$ 319.5"),
    ("  Depreciation and amortization", "201.4", "188.0"),
    ("  Changes in working capital", "(9.8)", "14.6"),
    ("Net cash provided by operating activities", "617.3", "522.1"),
    ("Cash flows from investing activities:", "", ""),
    ("  Purchases of property, plant and equipment", "(338.0)", "(290.2)"),
    ("Net cash used in investing activities", "(338.0)", "(290.2)"),
    ("Cash flows from financing activities:", "", ""),
    ("  Repayments of long-term debt", "(49.1)", "(100.0)"),
    ("  Dividends paid", "(48.0)", "(43.8)"),
    ("Net cash used in financing activities", "(97.1)", "(143.8)"),
    ("Net increase in cash and cash equivalents", "182.2", "88.1"),
    ("Cash and cash equivalents, beginning of year", "1,102.3", "1,014.2"),
    ("Cash and cash equivalents, end of year", "$ 1,284.5", "$ 1,102.3"),
)
NEWS = (
    "Northwind Instruments shares jumped 9% after the company reported record profit and paid down debt.\n"
    "Rival Halden Optics fell sharply as it cut its outlook for the second time this year.\n"
    "Northwind Instruments said its annual meeting takes place in May.\n"
)


def main(out: Path) -> None:
    """Write ``report.pdf`` and ``news.txt``."""
    out.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(out / "report.pdf"), pagesize=LETTER, invariant=1)
    canvas.setTitle("Northwind Instruments, annual report (invented)")
    _cover(canvas)
    dates = ("December 31, 2024", "December 31, 2023")
    years = ("2024", "2023")
    _statement(canvas, "CONSOLIDATED BALANCE SHEETS", "", dates, BALANCE)
    _statement(canvas, "CONSOLIDATED STATEMENTS OF INCOME", "Year Ended December 31,", years, INCOME)
    _statement(canvas, "CONSOLIDATED STATEMENTS OF CASH FLOWS", "Year Ended December 31,", years, CASH)
    canvas.save()
    (out / "news.txt").write_text(NEWS, encoding="utf-8")


def _cover(canvas: Canvas) -> None:
    canvas.setFont("Times-Bold", 20)
    canvas.drawCentredString(306, 560, "Northwind Instruments, Inc.")
    canvas.setFont("Times-Roman", 12)
    canvas.drawCentredString(306, 530, "Annual report for the fiscal year ended December 31, 2024")
    canvas.drawCentredString(306, 500, "An invented company: a sample of doyen-finance")
    canvas.showPage()


def _statement(
    canvas: Canvas, title: str, banner: str, heads: tuple[str, str], rows: tuple[Row, ...]
) -> None:
    canvas.setFont("Times-Bold", 12)
    canvas.drawCentredString(306, 720, "NORTHWIND INSTRUMENTS, INC.")
    canvas.drawCentredString(306, 704, title)
    canvas.setFont("Times-Roman", 10)
    canvas.drawCentredString(306, 688, "(in millions, except per share amounts)")
    canvas.setFont("Times-Bold", 9)
    if banner:
        canvas.drawCentredString((FIRST + SECOND) / 2 - 20, 664, banner)
    for right, head in zip((FIRST, SECOND), heads, strict=True):
        canvas.drawRightString(right, 650, head)
    canvas.line(FIRST - 90, 646, SECOND, 646)
    for at, (label, this, last) in enumerate(rows):
        y = 630 - 15 * at
        strong = label.startswith(("Total", "Net", "ASSETS", "LIABILITIES", "Gross", "Operating"))
        canvas.setFont("Times-Bold" if strong else "Times-Roman", 10)
        canvas.drawString(LEFT + (12 if label.startswith("  ") else 0), y, label.strip())
        for right, value in ((FIRST, this), (SECOND, last)):
            canvas.drawRightString(right + (3 if value.endswith(")") else 0), y, value)
    canvas.showPage()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
