"""PDF, DOCX, HTML and plain text into one ``Document`` with pages, word boxes and sections."""

from doyen_documents.plain import from_text
from doyen_documents.reader import read

__all__ = ["from_text", "read"]
