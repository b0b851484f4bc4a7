from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from doyen_finance.cli import app
from doyen_finance.statements import Report, parse
from doyen_finance.statements.as_html import as_html
from doyen_finance.statements.as_xlsx import as_xlsx
from doyen_finance.statements.model import Statement, Value
from doyen_finance.statements.write import write
from doyen_schemas import DoyenError

Line = tuple[float, list[tuple[float, str]]]  # height from the top; (x, text), numbers right-aligned at x

BALANCE = """
Cash and cash equivalents|$ 1,200|$ 1,000
Accounts receivable, net|(300)|250
Inventories|500|450
Total current assets|1,400|1,700
Property and equipment, net|2,600|2,300
Total assets|$ 4,000|$ 4,000
Accounts payable|$ 700|$ 800
Long-term debt|1,300|1,200
Total liabilities|2,000|2,000
Common stock|500|500
Retained earnings|1,500|1,500
Total shareholders' equity|2,000|2,000
Total liabilities and shareholders' equity|$ 4,000|$ 4,000
"""


@pytest.fixture
def make_report(tmp_path: Path) -> Callable[..., Path]:
    """A PDF of pages, each a list of lines; a line is text at x, or a label with numbers right-aligned at columns."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    def make(
        pages: list[list[str]], *, rotate: int = 0, password: str = "", name: str = "report.pdf"
    ) -> Path:
        path = tmp_path / name
        encryption = StandardEncryption(password) if password else None
        canvas = Canvas(str(path), pagesize=(612, 792), encrypt=encryption)
        for lines in pages:
            if rotate:
                canvas.translate(612, 0)
                canvas.rotate(90)
            top = 60
            for line in lines:
                canvas.setFont("Helvetica", 9)
                label, *numbers = line.split("|")
                indent = 40 + 10 * (len(label) - len(label.lstrip(" ")))
                if not numbers and label.startswith("^"):
                    canvas.drawCentredString(306, 792 - top - (180 if rotate else 0), label[1:])
                elif label:
                    canvas.drawString(indent, 792 - top - (180 if rotate else 0), label.strip())
                for place, number in enumerate(numbers):
                    edge = 570 - 80 * (len(numbers) - 1 - place)
                    canvas.drawRightString(
                        edge + (2.9 if number.endswith(")") else 0),
                        792 - top - (180 if rotate else 0),
                        number,
                    )
                top += 14
            canvas.showPage()
        canvas.save()
        return path

    return make


def balance_page(body: str = BALANCE, units: str = "(In millions, except per share data)") -> list[str]:
    return [
        "^Example Corp.",
        "^CONSOLIDATED BALANCE SHEETS",
        f"^{units}",
        "|June 30, 2025|June 30, 2024",
        *body.split("\n"),
    ]


def cells(statement: Statement) -> dict[tuple[str, int], Value]:
    return {(statement.rows[value.row].label, value.column): value for value in statement.values}


def test_balance_sheet_with_scale_sign_period_and_box(make_report: Callable[..., Path]) -> None:
    report = parse(make_report([["^Annual report"], balance_page()]))
    (statement,) = report.statements
    assert (statement.kind, statement.scope, statement.pages, statement.currency) == (
        "balance",
        "consolidated",
        (2,),
        "USD",
    )
    assert [column.period and column.period.end for column in statement.columns] == [
        date(2025, 6, 30),
        date(2024, 6, 30),
    ]
    value = cells(statement)["Accounts receivable, net", 0]
    assert (value.raw, value.value, value.scale, value.unit) == (
        "(300)",
        Decimal(-300_000_000),
        10**6,
        "currency",
    )
    assert value.period is not None
    assert value.period.start is None
    assert value.box.page == 2
    assert 450 < value.box.x0 < value.box.x1 < 500
    assert len(statement.values) == 26


def test_checks_hold_and_a_wrong_number_is_flagged_and_kept(make_report: Callable[..., Path]) -> None:
    good = parse(make_report([balance_page()])).statements[0]
    assert {check.name for check in good.checks} == {"balance", "subtotal"}
    assert all(check.passed for check in good.checks)
    assert "checks_failed" not in good.flags
    wrong = BALANCE.replace("equity|$ 4,000|$ 4,000", "equity|$ 4,010|$ 4,000")
    bad = parse(make_report([balance_page(wrong)])).statements[0]
    failed = [check for check in bad.checks if not check.passed and check.name == "balance"]
    assert [(check.column, check.expected, check.found) for check in failed] == [
        (0, Decimal(4_000_000_000), Decimal(4_010_000_000))
    ]
    assert "checks_failed" in bad.flags
    assert cells(bad)["Total liabilities and shareholders' equity", 0].value == Decimal(4_010_000_000)


def test_quarters_under_a_banner_wrapped_labels_sections_and_per_share_rows(
    make_report: Callable[..., Path],
) -> None:
    page = [
        "^Condensed Consolidated Statements of Operations", "^(in thousands, except per share amounts)",
        "||Three Months Ended June 30,||Six Months Ended June 30,", "|2025|2024|2025|2024",
        "Revenue|$ 1,000|$ 900|$ 2,000|$ 1,800",
        "Operating expenses:",
        "   Sales and marketing|200|180|400|360",
        "   Other (income), net|(10)|—|(20)|1",
        "Net income|$ 300|$ 250|$ 600|$ 500",
        "Net income per share:",
        "   Basic|$ 0.30|$ 0.25|$ 0.60|$ 0.50",
        "   Diluted|$ 0.29|$ 0.24|$ 0.58|$ 0.48",
        "Weighted-average shares used in computing net income per",
        "   share, basic|1,000|1,000|1,000|1,000",
        "See accompanying notes to consolidated financial statements.", "123|4|5",
    ]  # fmt: skip
    (statement,) = parse(make_report([page])).statements
    periods = [(c.period.start, c.period.end) for c in statement.columns if c.period]
    assert periods == [
        (date(2025, 4, 1), date(2025, 6, 30)), (date(2024, 4, 1), date(2024, 6, 30)),
        (date(2025, 1, 1), date(2025, 6, 30)), (date(2024, 1, 1), date(2024, 6, 30)),
    ]  # fmt: skip
    found = cells(statement)
    assert found["Revenue", 0].value == 1_000_000
    assert found["Other (income), net", 0].value == -10_000
    assert found["Other (income), net", 1].is_nil
    assert (found["Basic", 0].value, found["Basic", 0].unit) == (Decimal("0.30"), "currency_per_share")
    shares = found["Weighted-average shares used in computing net income per share, basic", 0]
    assert (shares.value, shares.unit, shares.currency) == (1_000_000, "shares", None)
    basic = next(row for row in statement.rows if row.label == "Basic")
    assert (basic.path, basic.level, basic.concept) == (("Net income per share:",), 1, "eps_basic")
    assert len(statement.values) == 28


def test_statement_over_two_pages_is_one(make_report: Callable[..., Path]) -> None:
    lines = BALANCE.strip().split("\n")
    first = [*balance_page("\n".join(lines[:6])), "", "12"]
    second = [
        "^CONSOLIDATED BALANCE SHEETS (Continued)",
        "^(In millions)",
        "|June 30, 2025|June 30, 2024",
        *lines[6:],
    ]
    (statement,) = parse(make_report([first, second])).statements
    assert statement.pages == (1, 2)
    assert "split_over_pages" in statement.flags
    assert [check.passed for check in statement.checks if check.name == "balance"] == [True, True]


def test_chinese_statement(make_report: Callable[..., Path], tmp_path: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    path = tmp_path / "zh.pdf"
    canvas = Canvas(str(path), pagesize=(612, 792))
    rows = [
        ("货币资金", "1,200.50", "1,000.00"), ("应收账款", "-300.00", "250.00"), ("流动资产合计", "900.50", "1,250.00"),
        ("资产总计", "900.50", "1,250.00"), ("负债合计", "400.00", "750.00"), ("所有者权益合计", "500.50", "500.00"),
        ("负债和所有者权益总计", "900.50", "1,250.00"),
    ]  # fmt: skip
    canvas.setFont("STSong-Light", 10)
    canvas.drawCentredString(306, 740, "合并资产负债表")
    canvas.drawString(400, 725, "单位：千元 币种：人民币")
    canvas.drawRightString(450, 710, "2020年12月31日")
    canvas.drawRightString(560, 710, "2019年12月31日")
    for number, (label, new, old) in enumerate(rows):
        canvas.drawString(60, 690 - 16 * number, label)
        canvas.drawRightString(450, 690 - 16 * number, new)
        canvas.drawRightString(560, 690 - 16 * number, old)
    canvas.save()
    (statement,) = parse(path).statements
    assert (statement.kind, statement.currency) == ("balance", "CNY")
    assert [c.period and c.period.end for c in statement.columns] == [date(2020, 12, 31), date(2019, 12, 31)]
    assert cells(statement)["应收账款", 0].value == Decimal("-300000.00")
    assert [check.passed for check in statement.checks if check.name == "balance"] == [True, True]
    assert statement.values[0].tag is None


def test_rotated_page_is_read_and_flagged(make_report: Callable[..., Path]) -> None:
    (statement,) = parse(make_report([balance_page()], rotate=90)).statements
    assert "rotated_page" in statement.flags
    value = cells(statement)["Total assets", 0]
    assert value.value == 4_000_000_000
    assert value.box.bottom - value.box.top > value.box.x1 - value.box.x0  # it runs up the page as shown


def test_two_currencies_and_no_scale_are_flagged(make_report: Callable[..., Path]) -> None:
    body = BALANCE.replace("|$ 1,200|", "|€ 1,200|")
    (statement,) = parse(make_report([balance_page(body, units="(Unaudited)")])).statements
    assert {"two_currencies", "scale_not_stated"} <= set(statement.flags)
    assert statement.values[0].scale == 1
    assert {v.currency for v in statement.values if v.raw.startswith("€")} == {"EUR"}
    assert {v.currency for v in statement.values if v.raw.startswith("$")} == {"USD"}


def test_a_convenience_translation_has_the_currency_of_its_column(make_report: Callable[..., Path]) -> None:
    page = balance_page(BALANCE.replace("$ ", ""), units="(in millions)")
    at = page.index("(in millions)") if "(in millions)" in page else page.index("^(in millions)")
    page.insert(at + 2, "|RMB|US$")
    (statement,) = parse(make_report([page])).statements
    by_column = {v.column: v.currency for v in statement.values}
    assert by_column == {0: "CNY", 1: "USD"}
    assert "two_currencies" in statement.flags


def test_a_file_that_is_cut_short_is_an_error(make_report: Callable[..., Path]) -> None:
    path = make_report([balance_page()] * 3)
    path.write_bytes(path.read_bytes().replace(b"%%EOF", b""))
    with pytest.raises(DoyenError, match="DOC-008"):
        parse(path)


def test_equity_by_component_takes_periods_from_its_balances(make_report: Callable[..., Path]) -> None:
    page = [
        "^Consolidated Statements of Shareholders' Equity", "^(in millions)", "|Shares|Amount|Total Equity",
        "Balance at December 31, 2023|100|$ 50|$ 500", "Net income||—|40", "Repurchases|(5)|(1)|(60)",
        "Balance at December 31, 2024|95|$ 49|$ 480", "Net income||—|30", "Balance at December 31, 2025|95|$ 49|$ 510",
    ]  # fmt: skip
    (statement,) = parse(make_report([page])).statements
    by_row = {(statement.rows[v.row].label, v.row): v for v in statement.values if v.column == 2}
    periods = [value.period for value in by_row.values()]
    assert [(p.start, p.end) for p in periods if p] == [
        (None, date(2023, 12, 31)), (date(2024, 1, 1), date(2024, 12, 31)), (date(2024, 1, 1), date(2024, 12, 31)),
        (None, date(2024, 12, 31)), (date(2025, 1, 1), date(2025, 12, 31)), (None, date(2025, 12, 31)),
    ]  # fmt: skip
    shares = [value for value in statement.values if value.column == 0]
    assert {value.unit for value in shares} == {"shares"}


def test_titles_in_notes_and_contents_are_no_statements(make_report: Callable[..., Path]) -> None:
    contents = [
        "Consolidated Balance Sheets as of June 30, 2025 and 2024|31",
        "Consolidated Statements of Cash Flows|34",
    ]
    with pytest.raises(DoyenError, match="FIN-011"):
        parse(make_report([contents, ["Nothing here."]]))


@pytest.mark.parametrize(("content", "code"), [(b"plain text", "FIN-010"), (b"", "DOC-004")])
def test_what_is_no_pdf(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(content)
    with pytest.raises(DoyenError, match=code):
        parse(path)


def test_password(make_report: Callable[..., Path]) -> None:
    with pytest.raises(DoyenError, match="DOC-007"):
        parse(make_report([balance_page()], password="secret"))


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(b"%PDF-1.7\n" + b"\x00garbage" * 100)
    with pytest.raises(DoyenError, match="DOC-008"):
        parse(path)


def test_workbook_has_numbers_sources_and_no_formulas(make_report: Callable[..., Path]) -> None:
    from openpyxl import load_workbook

    body = BALANCE.replace("Inventories", "=HYPERLINK(1)")
    book = load_workbook(BytesIO(as_xlsx(parse(make_report([balance_page(body)])))))
    sheet = book["Balance sheet"]
    rows = {sheet.cell(row=r, column=1).value: r for r in range(5, sheet.max_row + 1)}
    cell = sheet.cell(row=rows["Accounts receivable, net"], column=4)
    assert cell.value == -300_000_000
    assert "Page 1" in cell.comment.text
    assert "(300)" in cell.comment.text
    assert sheet.cell(row=rows["=HYPERLINK(1)"], column=1).data_type == "s"
    assert book["Checks"].cell(row=2, column=7).value == "yes"


def test_page_escapes_what_the_report_says(make_report: Callable[..., Path]) -> None:
    body = BALANCE.replace("Inventories", "<script>alert(1)</script>")
    path = make_report([balance_page(body)])
    page = as_html(parse(path), path)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert "Total assets: 4000000000" in page


def test_report_goes_through_json(make_report: Callable[..., Path]) -> None:
    report = parse(make_report([balance_page()]))
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert "statements" in Report.model_json_schema()["properties"]


def test_elements_of_plain_rows(make_report: Callable[..., Path]) -> None:
    (statement,) = parse(make_report([balance_page()])).statements
    tags = {row.label: row.tag for row in statement.rows}
    assert tags["Total assets"] == "Assets"
    assert tags["Total liabilities and shareholders' equity"] == "LiabilitiesAndStockholdersEquity"
    assert tags["Cash and cash equivalents"] == "CashAndCashEquivalentsAtCarryingValue"
    assert all(0 < (row.tag_probability or 0) <= 1 for row in statement.rows if row.tag)


def test_command_writes_and_reports_each_file(make_report: Callable[..., Path], tmp_path: Path) -> None:
    good = make_report([balance_page()])
    bad = make_report([["Nothing."]], name="bad.pdf")
    result = CliRunner().invoke(app, ["parse", str(good), str(bad), "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 2
    assert "FIN-011" in result.stderr
    parsed: dict[str, Any] = json.loads(result.stdout)
    assert parsed["statements"][0]["kind"] == "balance"
    (folder,) = (tmp_path / "out").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "report.xlsx"]


def test_writing_refuses_unknown_formats_and_folders(
    make_report: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_report([balance_page()])
    report = parse(path)
    with pytest.raises(DoyenError, match="FIN-016"):
        write(report, path, tmp_path, ["pdf"])
    (tmp_path / "file").write_text("")
    with pytest.raises(DoyenError, match="FIN-017"):
        write(report, path, tmp_path / "file" / "folder", ["json"])
