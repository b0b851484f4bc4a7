"""Findings with evidence, and the report that a vertical returns for one document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from doyen_schemas.document import Box, Document

Status = Literal["ok", "risk", "reject", "needs_review", "info"]
Severity = Literal["note", "low", "medium", "high"]


class Evidence(BaseModel):
    """A verbatim quote and where it stands. ``quote`` equals ``document.text[start:end]``."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    quote: str
    start: int
    end: int
    page: int | None = None
    boxes: list[Box] = Field(default_factory=list)

    @model_validator(mode="after")
    def _length_fits(self) -> Evidence:
        if self.end - self.start != len(self.quote):
            raise ValueError(
                f"quote of {len(self.quote)} characters for the range [{self.start}, {self.end})"
            )
        return self

    @classmethod
    def of(cls, document: Document, start: int, end: int) -> Evidence:
        """The evidence for ``[start, end)`` of ``document``."""
        return cls(
            quote=document.quote(start, end), start=start, end=end,
            page=document.page_at(start), boxes=document.boxes(start, end),
        )  # fmt: skip


class Value(BaseModel):
    """A normalised value.

    ``text`` by ``kind``: ``date`` ISO 8601 (``2024-03-01``, ``2024-03`` or ``2024``), ``amount`` a decimal with
    its ISO 4217 code in ``unit``, ``duration`` ISO 8601 (``P30D``), ``jurisdiction`` and ``party`` the canonical
    name, ``percent`` a decimal.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    kind: Literal["date", "amount", "duration", "jurisdiction", "party", "percent", "text"]
    text: str
    unit: str | None = None


class Finding(BaseModel):
    """One statement about a document that a reader can check.

    ``kind`` names the stage's product: ``clause`` and ``entity`` (extractor), ``fault`` (consistency checker),
    ``rule`` (playbook), ``missing`` (a clause that the contract type requires), ``deviation`` (from the standard
    clause), ``date`` (a renewal or notice date). ``score`` is a probability-like confidence in [0, 1], or None
    where a rule decides. ``related`` is further evidence, such as the definition that a fault conflicts with.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    id: str
    kind: Literal["clause", "entity", "fault", "rule", "missing", "deviation", "date"]
    label: str
    message: str = ""
    value: Value | None = None
    evidence: list[Evidence] = Field(default_factory=list)
    related: list[Evidence] = Field(default_factory=list)
    score: float | None = None
    severity: Severity = "note"
    status: Status = "info"
    rule: str | None = None
    source: str
    details: dict[str, Any] = Field(default_factory=dict)


class Stage(BaseModel):
    """What happened to one stage of the pipeline: ``ran``, or ``absent`` / ``skipped`` with the reason."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str
    state: Literal["ran", "absent", "skipped"]
    reason: str = ""
    version: str = ""
    seconds: float = 0.0
    counts: dict[str, int] = Field(default_factory=dict)


class Priority(BaseModel):
    """How soon a person should look, in [0, 100], with the named parts that add up to it.

    It is a review priority, not a probability, unless ``calibrated_on`` names the outcomes it was fitted to.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    score: float
    level: Literal["low", "medium", "high"]
    weights_version: str
    reasons: list[PriorityReason] = Field(default_factory=list)
    calibrated_on: str | None = None
    probability: float | None = None


class PriorityReason(BaseModel):
    """One named part of a priority: its weight times its value gives the points."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str
    weight: float
    value: float
    points: float
    findings: list[str] = Field(default_factory=list)


class DocumentInfo(BaseModel):
    """What the report says of the document itself; its text is not repeated here."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str
    sha256: str
    media_type: str
    pages: int
    characters: int
    needs_ocr: bool = False


class Report(BaseModel):
    """The result for one document."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    schema_version: Literal["1"] = "1"
    vertical: str
    created: str
    document: DocumentInfo
    contract_type: str | None = None
    side: str | None = None
    findings: list[Finding] = Field(default_factory=list)
    priority: Priority | None = None
    stages: list[Stage] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    disclaimer: str = "Decision support: a qualified person decides."
