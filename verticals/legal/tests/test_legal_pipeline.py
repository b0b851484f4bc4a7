"""The review from document to report: stages, evidence, options, refusals; once with the shipped weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from doyen_documents import from_text, read
from doyen_legal import Reviewer
from doyen_legal.extract.types import Clause, Extraction
from doyen_legal.pipeline import clause_findings
from doyen_legal.plugin import VERTICAL, validate_options
from doyen_legal.samples import contracts, planted
from doyen_legal.values import value_of
from doyen_schemas import DoyenError, Report

TEXT = (
    "MUTUAL NON-DISCLOSURE AGREEMENT\n\nThis Agreement is dated May 8, 2014.\n\n"
    "1. Law. This Agreement is governed by the laws of the State of Ohio.\n\n"
    "2. Term. Each party keeps the information secret for thirty (60) days."
)


@pytest.fixture(scope="module")
def report() -> Report:
    """The SaaS sample reviewed by the shipped weights."""
    return Reviewer(llm=False).review(next(p for p in contracts() if p.name == "saas-agreement.pdf"))


def test_every_quote_is_verbatim_and_has_its_page_and_boxes(report: Report) -> None:
    document = read(next(p for p in contracts() if p.name == "saas-agreement.pdf"))
    evidence = [e for f in report.findings for e in [*f.evidence, *f.related]]
    assert len(evidence) > 20
    for item in evidence:
        assert document.text[item.start : item.end] == item.quote
        assert item.page == document.page_at(item.start)
        assert item.boxes
    assert all(f.evidence or f.kind in ("missing", "date") for f in report.findings)


def test_the_report_says_what_made_it(report: Report) -> None:
    assert {"doyen-legal", "pipeline", "adapter", "adapter_digest", "playbook"} <= set(report.versions)
    assert {stage.name: stage.state for stage in report.stages} == {
        "extract": "ran", "llm": "skipped", "check": "ran", "playbook": "ran", "dates": "ran",
    }  # fmt: skip
    assert report.contract_type
    assert report.priority is not None
    assert report.priority.score == pytest.approx(sum(r.points for r in report.priority.reasons), abs=0.05)
    ids = [f.id for f in report.findings]
    assert len(ids) == len(set(ids))


def test_the_extractor_finds_what_a_reader_would(report: Report) -> None:
    law = [f for f in report.findings if f.label == "Governing Law" and f.kind == "clause"]
    assert law
    assert all(f.value is not None and f.value.kind == "jurisdiction" for f in law)
    assert {"Parties", "Cap On Liability"} <= {f.label for f in report.findings}


def test_planted_faults_of_the_sample_are_found(report: Report) -> None:
    wanted = [p for p in planted() if p.file == "saas-agreement.pdf" and p.kind != "playbook"]
    found = [
        (f.label, e.quote) for f in report.findings if f.kind == "fault" for e in [*f.evidence, *f.related]
    ]
    missed = [
        p.kind
        for p in wanted
        if not any(kind == p.kind and (quote in p.quote or p.quote in quote) for kind, quote in found)
    ]
    assert len(missed) <= len(wanted) // 4, missed


def test_reviewing_twice_gives_the_same_findings() -> None:
    reviewer = Reviewer(llm=False)
    document = from_text(TEXT, "nda.txt")
    first, second = (reviewer.review_document(document) for _ in range(2))
    assert first.model_copy(update={"created": "", "stages": []}) == second.model_copy(
        update={"created": "", "stages": []}
    )
    assert any(f.label == "number-word-mismatch" for f in first.findings)


def test_a_document_without_text_is_refused_with_the_way_out() -> None:
    with pytest.raises(DoyenError, match=r"LEG-064.*OCR"):
        Reviewer().review_document(from_text("  \n", "scan.txt"))


def test_a_label_in_doubt_is_shown_for_review_and_a_clear_one_is_not_doubled() -> None:
    document = from_text(TEXT, "nda.txt")
    law, dated = TEXT.index("This Agreement is governed"), TEXT.index("May 8")
    extraction = Extraction(
        [Clause("Governing Law", law, law + 60, 0.9), Clause("Insurance", law, law + 20, 0.3),
         Clause("Audit Rights", law, law + 20, 0.3), Clause("Agreement Date", dated, dated + 11, 0.8)],
        {"Governing Law": 0.99, "Insurance": 0.5, "Audit Rights": 0.05, "Agreement Date": 0.9},
    )  # fmt: skip
    shown = [c for c in extraction.clauses if c.score > 0.4]
    findings = clause_findings(document, shown, extraction, 0.4)
    assert [(f.label, f.kind, f.status) for f in findings] == [
        ("Agreement Date", "entity", "info"), ("Governing Law", "clause", "info"),
        ("Insurance", "clause", "needs_review"),
    ]  # fmt: skip
    assert findings[0].value is not None
    assert findings[0].value.text == "2014-05-08"


@pytest.mark.parametrize(
    ("label", "quote", "expected"),
    [
        ("Governing Law", "governed by the laws of the State of New York", ("jurisdiction", "New York")),
        ("Renewal Term", "successive one (1) year periods", ("duration", "P1Y")),
        ("Cap On Liability", "shall not exceed $1,500,000", ("amount", "1500000")),
        ("Parties", ' "Acme, Inc." ', ("party", "Acme, Inc.")),
        ("Parties", 'Acme, Inc., a Delaware corporation ("Acme")', ("party", "Acme, Inc.")),
        ("Parties", "Beta GmbH having its seat in Bonn (“Buyer”)", ("party", "Beta GmbH")),
        ("Insurance", "adequate insurance", None),
        ("Exclusivity", "for two (2) years", None),
    ],
)
def test_values_by_label(label: str, quote: str, expected: tuple[str, str] | None) -> None:
    value = value_of(label, quote)
    assert (None if value is None else (value.kind, value.text)) == expected


def test_options_are_checked_before_any_document(tmp_path: Path) -> None:
    assert validate_options({"playbook": "nda", "llm": "false"}) == {"llm": False, "playbook": "nda"}
    with pytest.raises(DoyenError, match="LEG-065"):
        validate_options({"colour": "red"})
    with pytest.raises(DoyenError, match="LEG-065"):
        validate_options({"llm": "perhaps"})
    with pytest.raises(DoyenError, match="LEG-032"):
        validate_options({"playbook": "nowhere"})
    with pytest.raises(DoyenError, match="LEG-033"):
        validate_options({"playbook": "nda", "side": "landlord"})


def test_an_edited_playbook_is_another_request(tmp_path: Path) -> None:
    from doyen_legal.playbook.load import FOLDER

    path = tmp_path / "own.yaml"
    path.write_text((FOLDER / "nda.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    before = validate_options({"playbook": str(path)})
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert validate_options({"playbook": str(path)}) != before


def test_the_vertical_reviews_for_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "nda.txt"
    path.write_text(TEXT, encoding="utf-8")
    result = VERTICAL.review(path, validate_options({"llm": "false"}))
    assert Report.model_validate(json.loads(json.dumps(result))).document.name == "nda.txt"


def test_commands_answer_bad_input_with_a_code_and_status_2(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "doyen_runtime", "legal", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

    for arguments, code in (
        (("review", "missing.pdf"), "DOC-001"),
        (("evaluate", "--protocol", "cuad", "--data", "missing.jsonl"), "LEG-001"),
        (("evaluate", "--protocol", "contract-nli", "--data", "missing.csv", "--llm"), "LEG-063"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stderr.split(":")[0]) == (2, code), done.stderr
        assert "Traceback" not in done.stderr


def test_a_stage_that_fails_is_named_and_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(document: object) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.delenv("DOYEN_DEBUG", raising=False)
    monkeypatch.setattr("doyen_legal.pipeline.fault_findings", breaks)
    report = Reviewer(llm=False).review_document(from_text(TEXT, "nda.txt"))
    (check,) = [stage for stage in report.stages if stage.name == "check"]
    assert (check.state, "ZeroDivisionError" in check.reason) == ("absent", True)
    assert any(f.label == "Governing Law" for f in report.findings)
