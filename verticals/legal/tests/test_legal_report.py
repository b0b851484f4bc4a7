from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from legal_report_fixtures import finding, nda_report, plain, report_of, saas_report, sample
from typer.testing import CliRunner

from doyen_documents import from_text
from doyen_legal.cli.report import load as load_report
from doyen_legal.cli.report import report as report_command
from doyen_legal.cli.report import schema as schema_command
from doyen_legal.labels import LABELS
from doyen_legal.report import FORMATS, folder_name, write
from doyen_legal.report.as_csv import COLUMNS, as_csv, as_grid
from doyen_legal.report.as_ics import REMINDERS, as_ics
from doyen_legal.report.as_json import SCHEMA_FILE, as_json, json_schema
from doyen_schemas import DoyenError, Report, Value


@pytest.fixture(scope="module")
def saas() -> tuple[Path, Report]:
    path, document = sample("saas-agreement.pdf")
    return path, saas_report(document)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_every_format_is_written(tmp_path: Path) -> None:
    path, document = sample("saas-agreement.pdf")
    written = write(saas_report(document), document, tmp_path / "a" / "b", source=path)
    assert {name: file.name for name, file in written.items()} == FORMATS
    assert written.notes == {}
    assert sorted(os.listdir(tmp_path / "a" / "b")) == sorted(FORMATS.values())  # no temporary file is left


def test_format_that_does_not_apply_is_noted(tmp_path: Path) -> None:
    path, document = sample("mutual-nda.docx")
    written = write(nda_report(document), document, tmp_path, ["pdf", "json"], source=path)
    assert list(written) == ["json"]
    assert written.notes["pdf"].startswith("LEG-043: ")


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = plain("Some text.")
    write(report_of(document, []), document, tmp_path, ["json"])
    before = (tmp_path / "report.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DoyenError, match="LEG-042") as caught:
        write(report_of(document, [finding(document, "Some")]), document, tmp_path, ["json"])
    assert "No space left" in caught.value.message
    assert (tmp_path / "report.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["report.json"]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"formats": ["word"]}, "LEG-040"), ({"text": "Other text."}, "LEG-041"), ({"created": "yesterday"}, "LEG-046")],
)  # fmt: skip
def test_bad_input_has_a_code(tmp_path: Path, change: dict[str, object], code: str) -> None:
    document = plain("Some text.")
    report = report_of(document, [finding(document, "Some")])
    report = report.model_copy(update={"created": change.get("created", report.created)})
    other = plain(str(change.get("text", document.text)))
    with pytest.raises(DoyenError) as caught:
        write(report, other, tmp_path, change.get("formats", ["json"]))  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.hint


def test_quote_that_is_not_verbatim_is_refused(tmp_path: Path) -> None:
    document = plain("Some text.")
    report = report_of(document, [finding(document, "Some")])
    moved = report.findings[0].evidence[0].model_copy(update={"start": 1, "end": 5})
    report.findings[0].evidence = [moved]
    with pytest.raises(DoyenError, match="LEG-041") as caught:
        write(report, document, tmp_path, ["json"])
    assert "Some" not in str(caught.value)  # no document text in messages


def test_folder_names_are_safe_and_distinct() -> None:
    documents = [plain("a", "../../etc/passwd"), plain("b", "../../etc/passwd"), plain("c", "…")]
    names = [folder_name(report_of(document, [])) for document in documents]
    assert names[0].startswith("etc_passwd-")
    assert len(set(names)) == 3
    assert not any("/" in name or name.startswith(".") for name in names)


def test_json_round_trip_and_published_schema(saas: tuple[Path, Report]) -> None:
    assert Report.model_validate_json(as_json(saas[1])) == saas[1]
    # `doyen legal schema --out …/report.schema.json` writes it anew
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema()
    schema = json.loads(json_schema())
    assert set(schema["required"]) >= {"vertical", "created", "document"}
    assert schema["$id"] == "urn:doyen:report:1"


def test_csv_has_a_row_a_finding(saas: tuple[Path, Report]) -> None:
    table = rows(as_csv(saas[1]))
    assert [row["id"] for row in table] == [f.id for f in saas[1].findings]
    assert tuple(table[0]) == COLUMNS
    rejected = next(row for row in table if row["id"] == "rule-1")
    assert rejected["status"] == "reject"
    assert rejected["page"] == "5"
    assert rejected["quote"].startswith("Provider may terminate")
    assert rejected["preferred"].startswith("Either Party")


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "=1\0"]
)
def test_csv_cells_cannot_be_formulas(text: str) -> None:
    document = plain(f"x {text} y")
    report = report_of(document, [finding(document, text.strip() or text, message=text, label=text)])
    row = rows(as_csv(report))[0]
    assert row["message"].startswith("'")
    assert row["label"].startswith("'")
    assert row["quote"].startswith(("'", "1")) or row["quote"][0].isalnum()


def test_grid_has_a_row_a_contract_and_a_column_a_label(saas: tuple[Path, Report]) -> None:
    nda = nda_report(sample("mutual-nda.docx")[1])
    table = rows(as_grid([saas[1], nda]))
    assert [row["document"] for row in table] == ["saas-agreement.pdf", "mutual-nda.docx"]
    assert set(LABELS) < set(table[0])
    assert table[0]["Governing Law"] == "Washington, US"
    assert table[0]["Cap On Liability"].startswith("shall not exceed the Fees paid")
    assert (table[0]["reject"], table[0]["priority"], table[0]["level"]) == ("1", "56", "high")
    assert table[0]["faults"] == "4"  # the unused term is a note and not counted
    assert table[1]["missing"] == "1"


def test_ics_has_all_day_events_with_stable_ids(saas: tuple[Path, Report]) -> None:
    from icalendar import Calendar

    content = as_ics(saas[1])
    assert content == as_ics(saas[1])
    events = Calendar.from_ical(content).walk("VEVENT")
    days = {str(event["UID"]).split("-date-")[1]: event.decoded("DTSTART").isoformat() for event in events}
    assert days == {
        "expiry@doyen": "2027-03-31", "renewal@doyen": "2027-03-31", "notice@doyen": "2026-12-11",
    }  # fmt: skip
    notice = next(event for event in events if "notice" in event["UID"])
    assert len(notice.walk("VALARM")) == len(REMINDERS["date-notice"])
    assert b"DTSTART;VALUE=DATE:20261211" in content
    assert "110 days" in notice["DESCRIPTION"]


def test_ics_leaves_out_unknown_dates() -> None:
    document = plain("Some text.")
    unknown = finding(document, "Some", id="date-expiry", kind="date", label="Expiry")
    month = finding(
        document, "text", id="date-x", kind="date", label="X", value=Value(kind="date", text="2026-05")
    )
    assert b"VEVENT" not in as_ics(report_of(document, [unknown, month]))


def test_empty_report_and_empty_document(tmp_path: Path) -> None:
    document = plain("")
    written = write(report_of(document, []), document, tmp_path)
    assert set(written) == set(FORMATS) - {"pdf"}
    assert "no findings" in written["html"].read_text(encoding="utf-8")


def test_a_thousand_overlapping_findings(tmp_path: Path) -> None:
    text = "\n\n".join(f"{n}. Clause. The Supplier shall deliver item {n} to the Buyer." for n in range(3000))
    document = from_text(text, "big.txt")
    findings = []
    for n in range(1000):
        clause = finding(document, f"deliver item {n} to", id=f"f{n}", status="risk", source="x")
        start = clause.evidence[0].start
        clause.evidence = [type(clause.evidence[0]).of(document, max(0, start - 3 * n), start + 20)]
        findings.append(clause)
    written = write(report_of(document, findings), document, tmp_path, ["html", "docx", "csv", "json"])
    assert written["html"].stat().st_size < 4_000_000


def test_command_writes_a_report_again(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(report_command)
    app.command()(schema_command)
    path, document = sample("saas-agreement.pdf")
    file = tmp_path / "report.json"
    file.write_bytes(as_json(saas_report(document)))
    arguments = ["report", str(file), "--document", str(path), "--out", str(tmp_path / "out"), "--formats", "csv, ics"]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(os.listdir(tmp_path / "out")) == ["dates.ics", "findings.csv"]
    result = CliRunner().invoke(app, ["schema", "--out", str(tmp_path / "schema.json")])
    assert result.exit_code == 0
    assert (tmp_path / "schema.json").read_text() == json_schema()


@pytest.mark.parametrize("content", [None, "", "{}", '{"schema_version": "9"}', "[1]"])
def test_command_refuses_what_is_no_report(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DoyenError) as caught:
        load_report(file)
    assert caught.value.code == "LEG-046"
