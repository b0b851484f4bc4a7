"""Report PDFs to statements: every number with its page, box, row, column, period, unit and scale."""

from doyen_finance.statements.model import Report
from doyen_finance.statements.parse import parse

__all__ = ["Report", "parse"]
