"""The testkit's own vertical passes the suite that the real ones pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from doyen_testkit.conformance import VerticalConformance


class TestTestkitVertical(VerticalConformance):
    name = "testkit"

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("sample") / "sample.txt"
        path.write_text("thisisalongfirstwordthatmustnotbelogged and more")
        return path
