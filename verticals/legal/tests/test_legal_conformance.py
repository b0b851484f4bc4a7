"""The legal vertical passes the suite that every vertical passes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from doyen_testkit.conformance import VerticalConformance


class TestLegal(VerticalConformance):
    name = "legal"
    options: ClassVar[dict[str, str]] = {"llm": "false"}

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("sample") / "nda.txt"
        path.write_text(
            "MUTUAL NON-DISCLOSURE AGREEMENT\n\nThis Agreement is dated May 8, 2014 between Acme, Inc. and Beta LLC.\n\n"
            "1. Law. This Agreement is governed by the laws of the State of Ohio.\n",
            encoding="utf-8",
        )
        return path
