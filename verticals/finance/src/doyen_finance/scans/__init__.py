"""Statements and tables out of scans: page images and PDFs without a text layer."""

from doyen_finance.scans.read import parse_scan, read_tables, structure_model

__all__ = ["parse_scan", "read_tables", "structure_model"]
