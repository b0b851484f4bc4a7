"""The report of one file of a batch: what it was taken for, what ran, and the result of that part."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from doyen_finance.forecast.run import Forecasts
from doyen_finance.sentiment.analysis import Analysis
from doyen_finance.statements.model import Report as Statements
from doyen_schemas import DocumentInfo, Stage

Task = Literal["statements", "sentiment", "forecast", "transactions", "credit", "transfers"]

INTENDED_USE = (
    "Decision support for analysts and risk officers who check figures against the source. No investment advice, no"
    " credit or fraud decision: a qualified person decides."
)


class FinanceReport(BaseModel):
    """The result of one file; the field named like ``task`` holds it, the risk tasks share ``risk``."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    schema_version: Literal["1"] = "1"
    vertical: Literal["finance", "finance-ocr"] = "finance"
    created: str
    task: Task
    document: DocumentInfo
    statements: Statements | None = None
    sentiment: Analysis | None = None
    forecast: Forecasts | None = None
    risk: dict[str, Any] | None = None
    stages: list[Stage] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    disclaimer: str = INTENDED_USE
