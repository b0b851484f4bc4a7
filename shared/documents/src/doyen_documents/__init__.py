"""PDF, DOCX, HTML and plain text into one ``Document`` with pages, word boxes and sections."""

from doyen_documents.plain import from_text

__all__ = ["from_text"]
