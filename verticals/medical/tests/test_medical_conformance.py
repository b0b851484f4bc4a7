"""The medical vertical passes the suite that every vertical passes, with a note, the format that has quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from doyen_medical.report import MedicalReport
from doyen_testkit.conformance import VerticalConformance

NOTE = (
    "A 3-year-old girl was seen for seizures and severe global developmental delay. Microcephaly and hypotonia were\n"
    "found. There was no hearing impairment. Her brother has intellectual disability.\n"
)


@pytest.mark.usefixtures("own_home")
class TestMedical(VerticalConformance):
    name = "medical"
    options: ClassVar[dict[str, str]] = {"top": "3"}
    schema = MedicalReport

    @classmethod
    def findings(cls, report: dict[str, Any]) -> list[tuple[str, list[tuple[int, int, str]]]]:
        patient = MedicalReport.model_validate(report).patient
        quotes: dict[str, list[tuple[int, int, str]]] = {
            term.id: [] for term in (*patient.observed, *patient.excluded)
        }
        for quote in patient.quotes:
            quotes.setdefault(quote.id, []).append((quote.start, quote.end, quote.quote))
        assert any(quotes.values())
        return list(quotes.items())

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("sample") / "note.txt"
        path.write_text(NOTE, encoding="utf-8")
        return path

    def test_the_report_knows_its_file_and_that_no_model_took_part(self, report: dict[str, Any]) -> None:
        assert report["document"]["name"] == "note.txt"
        assert report["document"]["characters"] == len(NOTE)
        assert report["llm"] == "off"
        assert report["excluded_terms_used"] == 0
        assert "HP:0000365" not in [term["id"] for term in report["patient"]["observed"]]
