"""What a worker of the queue does with one patient: the report, and its entry in the audit log.

The queue itself (leases, attempts, quarantine, progress) is ``doyen_runtime``'s; a message carries ids only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doyen_medical import audit
from doyen_medical.pipeline import diagnoser


def diagnose_file(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The report of one file as JSON-able data. Raises MED-05x (the file) and MED-07x (the audit log)."""
    report = diagnoser(int(options["top"]), options["profile"], bool(options["llm"])).diagnose(path)
    if options["evidence"]:
        from doyen_medical.evidence.library import load
        from doyen_medical.report.statements import with_statements

        report = with_statements(report, load())
    audit.record(report, "ranked")
    return report.model_dump(mode="json")
