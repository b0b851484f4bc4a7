"""Evidence that is what it says, reports that survive JSON, and the printed form of an error."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from doyen_schemas import Document, DocumentInfo, DoyenError, Evidence, Finding, Page, Report

DOCUMENT = Document(
    sha256="0" * 64, name="a.txt", media_type="text/plain", text="Law. Ohio.",
    pages=[Page(number=1, width=612, height=792, start=0, end=10)],
)  # fmt: skip


def test_evidence_is_verbatim_and_has_its_page() -> None:
    evidence = Evidence.of(DOCUMENT, 5, 9)
    assert (evidence.quote, evidence.page) == ("Ohio", 1)
    with pytest.raises(ValidationError, match=r"quote of 3 characters for the range \[5, 9\)"):
        Evidence(quote="Ohi", start=5, end=9)


def test_a_report_survives_json_and_refuses_unknown_fields() -> None:
    report = Report(
        vertical="legal", created="2026-01-01T00:00:00+00:00",
        document=DocumentInfo(name="a.txt", sha256="0" * 64, media_type="text/plain", pages=1, characters=10),
        findings=[
            Finding(id="F001", kind="clause", label="Governing Law", source="extractor",
                    evidence=[Evidence.of(DOCUMENT, 0, 10)])
        ],
    )  # fmt: skip
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert again.schema_version == "1"
    with pytest.raises(ValidationError, match="Extra inputs"):
        Report.model_validate(report.model_dump() | {"verdict": "sign it"})


def test_an_error_prints_code_message_and_hint_and_crosses_processes() -> None:
    error = DoyenError("DOC-004", "a.pdf is empty.", "Send it again.")
    assert str(error) == "DOC-004: a.pdf is empty. Hint: Send it again."
    assert str(DoyenError("DOC-004", "a.pdf is empty.")) == "DOC-004: a.pdf is empty."
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes, as between pool processes)
    assert (again.code, again.message, again.hint) == (error.code, error.message, error.hint)
