"""Plain text: decoded, never changed, so that offsets are the file's own."""

from __future__ import annotations

import codecs
import hashlib

from doyen_documents.sections import find_sections
from doyen_schemas import Document, Page

# A page of text has no size of its own: US Letter in points, as the other formats default to.
PAGE_SIZE = (612.0, 792.0)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def decode(data: bytes) -> str:
    """Text of ``data``: by its byte order mark, else UTF-8, else Windows-1252. Line ends stay as they are."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # cp1252 leaves five bytes undefined; Latin-1 maps every byte and agrees elsewhere on letters.
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")


def from_text(text: str, name: str = "text") -> Document:
    """A document of ``text``, character for character: sections recognised, form feeds delimit pages."""
    digest = hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
    return Document(
        sha256=digest, name=name, media_type="text/plain", text=text,
        pages=_pages(text), sections=find_sections(text),
    )  # fmt: skip


def _pages(text: str) -> list[Page]:
    """Pages where form feeds delimit them; a trailing one opens no page. None without form feeds."""
    if "\f" not in text:
        return []
    pages: list[Page] = []
    start = 0
    width, height = PAGE_SIZE
    pieces = text.split("\f")
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces[-2:] = [f"{pieces[-2]}\f{pieces[-1]}"]
    for number, piece in enumerate(pieces, start=1):
        end = min(start + len(piece) + 1, len(text))
        pages.append(Page(number=number, width=width, height=height, start=start, end=end))
        start = end
    return pages
