from __future__ import annotations

import io
import json
import random
import shutil
import tarfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from doyen_finance.evaluate import ixbrl, render
from doyen_finance.evaluate.ixbrl_truth import Fact, Period, read_truth
from doyen_finance.statements import model
from doyen_finance.statements.tags import RowText, build, load, save
from doyen_finance.statements.train_tags import train
from doyen_schemas import DoyenError
from doyen_schemas.document import Box

CONTEXTS = {
    "now": "<xbrli:instant>2025-06-30</xbrli:instant>",
    "then": "<xbrli:instant>2024-06-30</xbrli:instant>",
    "year": "<xbrli:startDate>2024-07-01</xbrli:startDate><xbrli:endDate>2025-06-30</xbrli:endDate>",
    "last": "<xbrli:startDate>2023-07-01</xbrli:startDate><xbrli:endDate>2024-06-30</xbrli:endDate>",
}


def fact(name: str, context: str, text: str, attributes: str = "") -> str:
    scale = 'scale="6"' if "scale" not in attributes else ""
    return (
        f'<ix:nonFraction name="us-gaap:{name}" contextRef="{context}" unitRef="usd" decimals="-6" {scale} '
        f'format="ixt:num-dot-decimal" {attributes}>{text}</ix:nonFraction>'
    )


def row(label: str, name: str, new: str, old: str, contexts: tuple[str, str] = ("now", "then")) -> str:
    def cell(context: str, text: str) -> str:
        inner = fact(name, context, text.strip("()"))
        return f'<td style="text-align:right;padding-left:30px">{f"({inner})" if text.startswith("(") else inner}</td>'

    return f"<tr><td>{label}</td>{cell(contexts[0], new)}{cell(contexts[1], old)}</tr>"


BALANCE = [
    ("Cash and cash equivalents", "CashAndCashEquivalentsAtCarryingValue", "1,200", "1,000"),
    ("Accounts receivable, net", "AccountsReceivableNetCurrent", "300", "250"),
    ("Inventories", "InventoryNet", "500", "450"), ("Total current assets", "AssetsCurrent", "2,000", "1,700"),
    ("Property and equipment, net", "PropertyPlantAndEquipmentNet", "2,000", "2,300"), ("Total assets", "Assets", "4,000", "4,000"),
    ("Accounts payable", "AccountsPayableCurrent", "700", "800"), ("Long-term debt", "LongTermDebtNoncurrent", "1,300", "1,200"),
    ("Total liabilities", "Liabilities", "2,000", "2,000"), ("Treasury stock", "TreasuryStockValue", "(500)", "(500)"),
    ("Total stockholders' equity", "StockholdersEquity", "2,000", "2,000"),
    ("Total liabilities and stockholders' equity", "LiabilitiesAndStockholdersEquity", "4,000", "4,000"),
]  # fmt: skip
CASH = [
    ("Net income", "NetIncomeLoss", "700", "600"), ("Depreciation", "DepreciationDepletionAndAmortization", "100", "90"),
    ("Net cash provided by operating activities", "NetCashProvidedByUsedInOperatingActivities", "800", "690"),
    ("Purchases of property", "PaymentsToAcquirePropertyPlantAndEquipment", "(200)", "(190)"),
    ("Net cash used in investing activities", "NetCashProvidedByUsedInInvestingActivities", "(200)", "(190)"),
    ("Net increase in cash", "CashCashEquivalentsRestrictedCashAndRestrictedCashEquivalentsPeriodIncreaseDecreaseIncludingExchangeRateEffect", "600", "500"),
]  # fmt: skip


def report(cik: str = "0000000001") -> bytes:
    contexts = "".join(
        f'<xbrli:context id="{name}"><xbrli:entity><xbrli:identifier scheme="http://www.sec.gov/CIK">{cik}</xbrli:identifier>'
        f"</xbrli:entity><xbrli:period>{period}</xbrli:period></xbrli:context>"
        for name, period in CONTEXTS.items()
    )
    heads = '<tr><td>(In millions)</td><td style="text-align:right">{}</td><td style="text-align:right">{}</td></tr>'
    balance = heads.format("June 30, 2025", "June 30, 2024") + "".join(row(*line) for line in BALANCE)
    years = heads.format("2025", "2024")
    cash = "<tr><td></td><td colspan='2' style='text-align:center'>Year Ended June 30,</td></tr>" + years
    cash += "".join(row(*line, contexts=("year", "last")) for line in CASH)
    note = "".join(row(f"Note {n}", "OtherAssetsNoncurrent", "1", "2") for n in range(4))
    return (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:ix="http://www.xbrl.org/2013/inlineXBRL" '
        'xmlns:xbrli="http://www.xbrl.org/2003/instance" xmlns:us-gaap="http://fasb.org/us-gaap/2025"><head><title>r</title></head>'
        f'<body><div style="display:none"><ix:header><ix:resources>{contexts}<xbrli:unit id="usd"><xbrli:measure>iso4217:USD'
        f'</xbrli:measure></xbrli:unit></ix:resources></ix:header><ix:nonNumeric name="dei:EntityCentralIndexKey" contextRef="year">{cik}'
        "</ix:nonNumeric></div><p>Annual report for the fiscal year ended June 30, 2025</p>"
        f'<p style="text-align:center;page-break-before:always">CONSOLIDATED BALANCE SHEETS</p><table style="width:100%">{balance}</table>'
        f'<p style="text-align:center;page-break-before:always">CONSOLIDATED STATEMENTS OF CASH FLOWS</p><table style="width:100%">{cash}</table>'
        f"<p>See accompanying notes.</p><p>Notes to consolidated financial statements</p><table>{note}</table></body></html>"
    ).encode()


def test_truth_has_label_period_value_as_printed_and_tag() -> None:
    truth = read_truth(report())
    assert {f.kind for f in truth.facts} == {"balance", "cash_flow"}
    assert len(truth.facts) == 2 * (len(BALANCE) + len(CASH))
    first = truth.facts[0]
    assert (first.label, first.value, first.unit) == (
        "Cash and cash equivalents",
        Decimal("1200000000"),
        "USD",
    )
    assert (first.tags, first.period) == (
        ("us-gaap:CashAndCashEquivalentsAtCarryingValue",),
        Period(None, date(2025, 6, 30)),
    )
    bought = next(f for f in truth.facts if f.label == "Purchases of property")
    assert (bought.value, bought.element_value) == (Decimal("-200000000"), Decimal("200000000"))
    assert bought.period == Period(date(2024, 7, 1), date(2025, 6, 30))


def test_truth_leaves_numbers_within_labels_out_and_reads_dashes() -> None:
    inside = fact("AllowanceForDoubtfulAccountsReceivableCurrent", "now", "6")
    dash = fact("OtherAssets", "now", "—").replace("num-dot-decimal", "fixed-zero")
    content = report().replace(b"Inventories", f"Inventories, net of {inside} and more".encode())
    content = content.replace(fact("InventoryNet", "now", "500").encode(), dash.encode())
    truth = read_truth(content)
    assert truth.in_labels == 1
    assert [f.value for f in truth.facts if f.tags == ("us-gaap:OtherAssets",)] == [0]


@pytest.mark.parametrize("content", [b"", b"no markup"])
def test_truth_of_what_is_no_xml(content: bytes) -> None:
    with pytest.raises(DoyenError, match="FIN-015"):
        read_truth(content)


def a_statement(
    value: Decimal, label: str = "Total assets", *, end: date = date(2025, 6, 30), nil: bool = False
) -> model.Statement:
    box = Box(page=1, x0=0, top=0, x1=1, bottom=1)
    period = model.Period(start=None, end=end)
    cell = model.Value(
        row=0, column=0, raw="x", value=value, is_nil=nil, unit="currency", scale=1, currency="USD", period=period,
        box=box, tag="Assets",
    )  # fmt: skip
    return model.Statement(
        kind="balance", scope="consolidated", title="t", pages=(1,), columns=(model.Column(index=0, label=""),),
        rows=(model.Row(index=0, label=label, box=box),), values=(cell,),
    )  # fmt: skip


def a_fact(value: int = 5, label: str = "Total assets (1)") -> Fact:
    period = Period(None, date(2025, 6, 28))
    return Fact(
        "balance", 0, 0, label, ("us-gaap:Assets",), period, "USD", Decimal(value), Decimal(value), ()
    )


def test_a_cell_needs_label_period_and_value() -> None:
    found = ixbrl.compare([a_fact()], [a_statement(Decimal("5.0"))])
    assert (found.values, found.cells, found.exact_periods, found.tags) == (1, 1, 0, 1)
    for other in (
        a_statement(Decimal(-5)), a_statement(Decimal(5), "Assets"), a_statement(Decimal(5), end=date(2025, 3, 31)),
    ):  # fmt: skip
        assert ixbrl.compare([a_fact()], [other]).cells == 0
    assert ixbrl.compare([a_fact(), a_fact()], [a_statement(Decimal(5))]).values == 1


def test_a_dash_without_a_fact_is_no_wrong_value() -> None:
    found = ixbrl.compare([], [a_statement(Decimal(0), nil=True)])
    assert found.predicted == 0
    found = ixbrl.compare([a_fact(0)], [a_statement(Decimal(0), nil=True)])
    assert (found.predicted, found.values, found.cells) == (1, 1, 1)


def test_a_report_that_cannot_be_parsed_counts_as_nothing_found() -> None:
    def fail(_: bytes) -> model.Report:
        raise DoyenError("FIN-011", "none", "")

    result = ixbrl.summary([ixbrl.score("x.html", report(), fail)])
    assert (result["value_recall"], result["cell_f1"], result["not_parsed"], result["n"]) == (0.0, 0.0, 1, 1)
    assert result["facts"] == 2 * (len(BALANCE) + len(CASH))


def test_one_broken_report_is_counted_and_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.html").write_bytes(b"nonFraction, no XML")
    (tmp_path / "b.html").write_bytes(report())
    (tmp_path / "c.html").write_bytes(report().replace(b"0000000001", b"0000000002"))

    def fail(html: bytes) -> Path:
        if b"0000000002" in html:
            raise IndexError("a fault of the parser")
        raise DoyenError("FIN-014", "not printed", "")

    monkeypatch.setattr(ixbrl, "print_html", fail)
    result = ixbrl.evaluate_file(tmp_path)
    assert (result["n"], result["not_parsed"], result["value_recall"]) == (3, 3, 0.0)
    assert result["errors"] == {"FIN-015": 1, "FIN-014": 1, "IndexError": 1}

    def lacking(_: bytes) -> Path:
        raise DoyenError("FIN-013", "no Chromium", "")

    monkeypatch.setattr(ixbrl, "print_html", lacking)
    with pytest.raises(DoyenError, match="FIN-013"):
        ixbrl.evaluate_file(tmp_path)


def test_reports_of_a_folder_and_of_a_tar(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.html").write_bytes(report())
    (tmp_path / "a.htm").write_bytes(report())
    (tmp_path / "other.html").write_bytes(b"<html/>")
    assert [name for name, _ in ixbrl.reports(tmp_path)] == ["a.htm", "b/one.html"]
    assert len(list(ixbrl.reports(tmp_path, 1))) == 1
    packed = tmp_path / "r.tar.xz"
    with tarfile.open(packed, "w:xz") as archive:
        member = tarfile.TarInfo("x/two.html")
        member.size = len(report())
        archive.addfile(member, io.BytesIO(report()))
    assert [(name, content) for name, content in ixbrl.reports(packed)] == [("x/two.html", report())]


def test_no_reports(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"no tar")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("two.html")
        member.size = 50_000
        archive.addfile(member, io.BytesIO(random.Random(1).randbytes(member.size)))
    (tmp_path / "cut.tar.gz").write_bytes(packed.getvalue()[:20_000])
    for path in (tmp_path, tmp_path / "absent", tmp_path / "x.bin", tmp_path / "cut.tar.gz"):
        with pytest.raises(DoyenError, match="FIN-012"):
            ixbrl.evaluate_file(path)


def test_printing_without_chromium(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("doyen_finance.evaluate.render.cache_folder", lambda: tmp_path / "printed")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DoyenError, match="FIN-013"):
        render.print_html(report())


def test_printing_with_a_broken_chromium(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("doyen_finance.evaluate.render.cache_folder", lambda: tmp_path / "printed")
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/false")
    with pytest.raises(DoyenError, match="FIN-014"):
        render.print_html(report())
    assert list((tmp_path / "printed").iterdir()) == []


def test_printed_pages_may_run_and_fetch_nothing() -> None:
    page = render._with_policy(
        b'<html><head><meta http-equiv="refresh" content="0;url=http://x/"></head></html>'
    )
    assert b"default-src 'none'" in page
    assert b"refresh" not in page


def test_memory_of_rows_tells_new_rows_and_is_kept_whole(tmp_path: Path) -> None:
    rows = [
        RowText("balance", "currency", "Cash and cash equivalents", "Current assets", True, False),
        RowText("balance", "currency", "Inventories", "Current assets", True, False),
        RowText("income", "currency", "Cash and cash equivalents", "", False, False),
    ]
    memory = build(rows, ["Cash", "InventoryNet", "Wrong"])
    asked = [
        RowText("balance", "currency", "Inventories, net", "", True, True),
        RowText("balance", "currency", "Cash and equivalents", "", True, False),
        RowText("equity", "shares", "Cash", "", True, False),
    ]
    found = memory.predict(asked)
    assert [best and best[0] for best in found] == ["InventoryNet", "Cash", None]
    save(memory, tmp_path, {"command": "none"})
    assert load(tmp_path).predict(asked) == found


chromium = pytest.mark.skipif(not any(map(shutil.which, render.PROGRAMS)), reason="needs Chromium")


@chromium
def test_whole_protocol_and_training_on_printed_reports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("doyen_finance.evaluate.render.cache_folder", lambda: tmp_path / "cache")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "one.html").write_bytes(report())
    result = ixbrl.evaluate_file(folder)
    assert (result["value_recall"], result["value_precision"], result["cell_f1"]) == (1.0, 1.0, 1.0)
    assert (result["balance_pass_rate"], result["exact_period_rate"], result["n"]) == (1.0, 1.0, 1)
    assert json.loads(json.dumps(result))["ci95"]["cell_f1"] == [1.0, 1.0]
    with pytest.raises(DoyenError, match="FIN-019"):
        train(folder, tmp_path / "part", "test")
    (folder / "two.html").write_bytes(report("0000000002"))
    about = train(folder, tmp_path / "part", "test")
    assert about["out_of_company"] == {"accuracy": 1.0, "ceiling": 1.0}
    assert (tmp_path / "part" / "tags.safetensors").is_file()
