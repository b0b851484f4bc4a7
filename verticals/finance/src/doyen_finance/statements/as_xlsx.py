"""A report as a workbook: a sheet a statement, the source of each number in its comment, and a sheet of checks."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, Final

from doyen_finance.statements.model import Period, Report, Statement, Value

MAX_TEXT: Final = 32_000
FAILED: Final = "FFC7CE"
_NAMES: Final = {
    "balance": "Balance sheet", "income": "Income", "comprehensive": "Comprehensive income", "cash_flow": "Cash flows",
    "equity": "Equity",
}  # fmt: skip
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def as_xlsx(report: Report) -> bytes:
    """The workbook's bytes. Numbers are stored as numbers, scaled; text never as a formula."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    names: set[str] = set()
    for statement in report.statements:
        _statement(book.create_sheet(_sheet_name(statement, names)), statement)
    _checks(book.create_sheet("Checks"), report)
    buffer = BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _sheet_name(statement: Statement, taken: set[str]) -> str:
    base = _NAMES[statement.kind] + (" (parent)" if statement.scope == "parent" else "")
    name, number = base[:31], 1
    while name in taken:
        number += 1
        name = f"{base[:27]} {number}"
    taken.add(name)
    return name


def _text(sheet: Any, row: int, column: int, text: str) -> Any:
    """A text cell, whatever the text begins with."""
    cell = sheet.cell(row=row, column=column)
    cell.value = _ILLEGAL.sub("", text)[:MAX_TEXT]
    cell.data_type = "s"
    return cell


def _statement(sheet: Any, statement: Statement) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Alignment, Font, PatternFill

    bold, red = Font(bold=True), PatternFill("solid", fgColor=FAILED)
    _text(sheet, 1, 1, statement.title).font = bold
    about = [statement.currency or "", statement.units, *statement.flags]
    _text(sheet, 2, 1, "; ".join(part for part in about if part))
    for place, name in enumerate(("Row", "Concept", "us-gaap element"), start=1):
        _text(sheet, 4, place, name).font = bold
    for column in statement.columns:
        heading = column.label if column.period is None else period_text(column.period)
        _text(sheet, 4, 4 + column.index, heading).font = bold
    failed = {(check.row, check.column) for check in statement.checks if not check.passed}
    for row in statement.rows:
        cell = _text(sheet, 5 + row.index, 1, row.label)
        cell.alignment = Alignment(indent=min(row.level, 15), wrap_text=True, vertical="top")
        _text(sheet, 5 + row.index, 2, row.concept or "")
        _text(sheet, 5 + row.index, 3, row.tag or "")
    for value in statement.values:
        cell = sheet.cell(row=5 + value.row, column=4 + value.column, value=value.value)
        cell.number_format = _format(value)
        cell.comment = Comment(_source(value), "doyen")
        if (value.row, value.column) in failed:
            cell.fill = red
    sheet.column_dimensions["A"].width = 60
    sheet.freeze_panes = "D5"


def _format(value: Value) -> str:
    if value.unit == "percent":
        return "0.00%"
    return "#,##0.00;(#,##0.00)" if value.unit == "currency_per_share" else "#,##0;(#,##0)"


def _source(value: Value) -> str:
    box = value.box
    period = f"\n{period_text(value.period)}" if value.period else ""
    return (
        f"Page {box.page}, row {value.row}, column {value.column}\nPrinted: {value.raw} (x {value.scale})"
        f"\nBox {box.x0}, {box.top}, {box.x1}, {box.bottom}{period}\n{value.unit} {value.currency or ''}"
    )


def period_text(period: Period) -> str:
    """A period as a heading: the day, or first day to last."""
    return (
        period.end.isoformat()
        if period.start is None
        else f"{period.start.isoformat()} to {period.end.isoformat()}"
    )


def _checks(sheet: Any, report: Report) -> None:
    from openpyxl.styles import Font

    for place, name in enumerate(
        ("Statement", "Check", "Row", "Column", "Expected", "Printed", "Holds"), start=1
    ):
        _text(sheet, 1, place, name).font = Font(bold=True)
    line = 2
    for statement in report.statements:
        for check in statement.checks:
            _text(sheet, line, 1, statement.title)
            _text(sheet, line, 2, check.name)
            _text(sheet, line, 3, statement.rows[check.row].label)
            sheet.cell(row=line, column=4, value=check.column)
            sheet.cell(row=line, column=5, value=check.expected)
            sheet.cell(row=line, column=6, value=check.found)
            _text(sheet, line, 7, "yes" if check.passed else "NO")
            line += 1
