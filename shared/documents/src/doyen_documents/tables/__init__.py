"""Tables of a page: found, split into cells, each cell with its box. Words in, tables out; PDF and OCR alike."""

from doyen_documents.tables.find import tables_of_words
from doyen_documents.tables.model import Cell, Table, Word
from doyen_documents.tables.pdf import PageContent, page_words, read_pages, tables_of_page, tables_of_pdf
from doyen_documents.tables.rules import Rule

__all__ = [
    "Cell",
    "PageContent",
    "Rule",
    "Table",
    "Word",
    "page_words",
    "read_pages",
    "tables_of_page",
    "tables_of_pdf",
    "tables_of_words",
]
