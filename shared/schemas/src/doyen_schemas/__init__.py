"""Doyen's vocabulary, on pydantic alone: documents, evidence, findings, reports, manifests, errors."""

from doyen_schemas.adapter import AdapterFile, AdapterManifest, BaseRef
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
    "AdapterFile", "AdapterManifest", "BaseRef", "Box", "Document", "DocumentInfo", "DoyenError", "Edit",
    "Evidence", "Finding", "Page", "Priority", "PriorityReason", "Report", "Run", "Section", "Severity",
    "Stage", "Status", "Value",
]  # fmt: skip
