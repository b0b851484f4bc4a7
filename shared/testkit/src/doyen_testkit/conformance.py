"""The suite that every vertical passes. Subclass it in the vertical's tests and name the vertical and a sample.

class TestLegal(VerticalConformance):
    name = "legal"

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls, tmp_path_factory):
        return a_readable_document(tmp_path_factory.mktemp("sample"))
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from doyen_runtime import verticals
from doyen_runtime.ledger import options_json, pack
from doyen_runtime.verticals import Vertical
from doyen_schemas import DoyenError, Report

# What differs between two reviews of one document by rights.
_VOLATILE = ("created", "seconds")


class VerticalConformance:
    """What the runtime, the queue and a reader of reports rely on."""

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    schema: ClassVar[type[BaseModel]] = Report
    """What a report follows: ``Report``, or a vertical's own with ``vertical``, ``document`` and ``stages``."""

    @classmethod
    def findings(cls, report: dict[str, Any]) -> list[tuple[str, list[tuple[int, int, str]]]]:
        """Id and quotes (start, end, text) of every finding; a schema of one's own says where they stand."""
        return [
            (finding.id, [(e.start, e.end, e.quote) for e in (*finding.evidence, *finding.related)])
            for finding in Report.model_validate(report).findings
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls) -> Path:
        """A document that the vertical can read, with some text of its own."""
        raise NotImplementedError("the subclass provides a sample document")

    @pytest.fixture(scope="class")
    @classmethod
    def vertical(cls) -> Vertical:
        """The vertical as it is installed."""
        return verticals.load(cls.name)

    @pytest.fixture(scope="class")
    @classmethod
    def report(cls, vertical: Vertical, sample: Path) -> dict[str, Any]:
        """The report on the sample."""
        return vertical.review(sample, vertical.validate_options(cls.options))

    def test_discovery_does_not_import_the_training_stack(self) -> None:
        code = (
            "import sys\nfrom doyen_runtime import verticals\n"
            f"v = verticals.load({self.name!r})\nv.adapter_digest()\n"
            "heavy = {'torch', 'transformers', 'sklearn', 'matplotlib'} & set(sys.modules)\nassert not heavy, heavy"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_the_adapter_digest_is_stable_hex(self, vertical: Vertical) -> None:
        assert re.fullmatch(r"[0-9a-f]{64}", vertical.adapter_digest())
        assert vertical.adapter_digest() == vertical.adapter_digest()

    def test_options_are_complete_json_and_stable(self, vertical: Vertical) -> None:
        options = vertical.validate_options(self.options)
        assert json.loads(options_json(options)) == options
        assert vertical.validate_options(options) == options, "validated options validate to themselves"

    def test_unknown_options_are_refused_by_name(self, vertical: Vertical) -> None:
        with pytest.raises(DoyenError, match="no-such-option"):
            vertical.validate_options({"no-such-option": "1"})

    def test_the_report_is_json_and_fits_the_schema(self, vertical: Vertical, report: dict[str, Any]) -> None:
        assert pack(report)
        parsed = self.schema.model_validate(json.loads(json.dumps(report))).model_dump()
        assert parsed["vertical"] == vertical.name
        assert parsed["stages"], "a report says what ran and what did not"

    def test_every_finding_can_be_told_apart_and_checked(self, report: dict[str, Any]) -> None:
        findings = self.findings(report)
        identifiers = [identifier for identifier, _ in findings]
        assert len(identifiers) == len(set(identifiers))
        for _, quotes in findings:
            for start, end, _ in quotes:
                assert 0 <= start < end <= report["document"]["characters"]

    def test_the_same_document_gives_the_same_report(
        self, vertical: Vertical, sample: Path, report: dict[str, Any]
    ) -> None:
        again = vertical.review(sample, vertical.validate_options(self.options))
        assert _stable(again) == _stable(report)

    @pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x80" * 64], ids=["empty", "noise"])
    def test_bad_input_is_a_coded_error(self, vertical: Vertical, tmp_path: Path, content: bytes) -> None:
        for suffix in sorted(vertical.suffixes):
            path = tmp_path / f"bad{suffix}"
            path.write_bytes(content)
            with pytest.raises(DoyenError) as raised:
                vertical.review(path, vertical.validate_options(self.options))
            assert re.fullmatch(r"[A-Z]{3}-\d{3}", raised.value.code)
            assert raised.value.message
            assert raised.value.hint

    def test_no_finding_reaches_the_log(
        self, vertical: Vertical, sample: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            found = vertical.review(sample, vertical.validate_options(self.options))
        ours = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("doyen"))
        for _, quotes in self.findings(found):
            for _, _, quote in quotes:
                if len(quote) >= 20:
                    assert quote not in ours


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(entry) for key, entry in value.items() if key not in _VOLATILE}
    return [_stable(entry) for entry in value] if isinstance(value, list) else value
