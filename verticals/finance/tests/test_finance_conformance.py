"""The finance vertical passes the suite that every vertical passes, with news, and with a page image in the OCR queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from finance_pages import statement_image

from doyen_finance.report import FinanceReport
from doyen_testkit.conformance import VerticalConformance

NEWS = (
    "Acme Industries shares jumped 12% after the company raised its profit forecast.\n"
    "Rival Northwind Holdings fell sharply on a weak outlook.\n"
)


class TestFinance(VerticalConformance):
    name = "finance"
    options: ClassVar[dict[str, Any]] = {}
    schema = FinanceReport

    @classmethod
    def findings(cls, report: dict[str, Any]) -> list[tuple[str, list[tuple[int, int, str]]]]:
        found = FinanceReport.model_validate(report).sentiment
        assert found is not None
        assert found.entities
        return [
            (entity.name, [(start, end, NEWS[start:end]) for start, end in entity.spans])
            for entity in found.entities
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("sample") / "news.txt"
        path.write_text(NEWS, encoding="utf-8")
        return path

    def test_the_report_says_what_the_file_was_taken_for(self, report: dict[str, Any]) -> None:
        assert report["task"] == "sentiment"
        assert report["document"]["characters"] == len(NEWS)
        assert report["statements"] is report["risk"] is report["forecast"] is None


@pytest.mark.slow
class TestFinanceOcr(VerticalConformance):
    name = "finance-ocr"
    schema = FinanceReport

    @classmethod
    def findings(cls, report: dict[str, Any]) -> list[tuple[str, list[tuple[int, int, str]]]]:
        found = FinanceReport.model_validate(report).statements
        assert found is not None
        return [
            (f"{at}.{value.row}.{value.column}", [])
            for at, statement in enumerate(found.statements)
            for value in statement.values
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return statement_image(tmp_path_factory.mktemp("sample") / "scan.png")

    def test_every_number_has_its_place_on_the_page(self, report: dict[str, Any]) -> None:
        found = FinanceReport.model_validate(report).statements
        assert found is not None
        values = {int(value.value) for statement in found.statements for value in statement.values}
        assert {1_200_000, 800_000, 2_000_000} <= values
        assert all(v.box.x0 < v.box.x1 for s in found.statements for v in s.values)
