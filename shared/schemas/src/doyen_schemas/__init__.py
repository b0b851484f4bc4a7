"""Doyen's vocabulary, on pydantic alone: documents, evidence, findings, reports, releases, errors."""

from doyen_schemas.adapter import (
    AdapterFile,
    AdapterRelease,
    BaseRef,
    Measurement,
    Probe,
    Promoted,
    ReleaseBase,
    ReleaseId,
)
from doyen_schemas.document import Box, Document, Edit, Page, Run, Section
from doyen_schemas.errors import DoyenError
from doyen_schemas.report import (
    DocumentInfo,
    Evidence,
    Finding,
    Priority,
    PriorityReason,
    Report,
    Severity,
    Stage,
    Status,
    Value,
)

__all__ = [
    "AdapterFile", "AdapterRelease", "BaseRef", "Box", "Document", "DocumentInfo", "DoyenError", "Edit",
    "Evidence", "Finding", "Measurement", "Page", "Priority", "PriorityReason", "Probe", "Promoted",
    "ReleaseBase", "ReleaseId", "Report", "Run", "Section", "Severity", "Stage", "Status", "Value",
]  # fmt: skip
