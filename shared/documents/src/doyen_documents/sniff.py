"""What a file is, by its first bytes: names lie."""

from __future__ import annotations

import codecs
import re
import zipfile
from io import BytesIO
from typing import Final

from doyen_schemas import DoyenError

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML: Final = "text/html"
TEXT: Final = "text/plain"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_KNOWN: Final = (
    (_OLE, "an old Word or Office file", "Save it as DOCX or PDF."),
    (b"{\\rtf", "an RTF file", "Save it as DOCX or PDF."),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", "Run text recognition (OCR) and give the PDF it makes."),
    (b"\xff\xd8\xff", "a JPEG picture", "Run text recognition (OCR) and give the PDF it makes."),
    (b"GIF8", "a GIF picture", "Run text recognition (OCR) and give the PDF it makes."),
    (b"II*\x00", "a TIFF picture", "Run text recognition (OCR) and give the PDF it makes."),
    (b"MM\x00*", "a TIFF picture", "Run text recognition (OCR) and give the PDF it makes."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"Rar!", "a RAR archive", "Unpack it first."),
)
_HTML_START = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.I | re.S,
)
_TAG = re.compile(rb"<(?:p|div|table|span|h[1-6]|br|font|center)\b[^>]*>", re.I)
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_CONTROL = bytes(range(0x09)) + bytes(range(0x0E, 0x20)) + b"\x7f"
RULE: Final = "Doyen reads PDF, DOCX, HTML and plain text."


def media_type(data: bytes, suffix: str) -> str:
    """The media type of ``data``; ``suffix`` only decides between text and a piece of HTML.

    Raises DOC-006 for anything else, DOC-007 for an encrypted Office file, DOC-009 for a broken zip file.
    """
    if b"%PDF-" in data[:1024]:
        return PDF
    if data.startswith(b"PK\x03\x04") or data.startswith(b"PK\x05\x06"):
        return _zip_type(data)
    if data.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in data:
        raise DoyenError(
            "DOC-007",
            "the Office file is encrypted and needs a password.",
            "Save a copy without the password.",
        )
    for magic, what, hint in _KNOWN:
        if data.startswith(magic):
            raise DoyenError("DOC-006", f"the file is {what}; {RULE}", hint)
    if data.startswith(_WIDE_BOMS):
        return HTML if _HTML_START.match(_narrow(data)) else TEXT
    head = data.removeprefix(codecs.BOM_UTF8)[:65536]
    control = len(head) - len(head.translate(None, _CONTROL))
    if b"\x00" in head or control > 0.02 * len(head):
        raise DoyenError(
            "DOC-006", f"the file is binary data of an unknown kind; {RULE}", "Convert it to one of these."
        )
    if _HTML_START.match(head[:8192]) or (suffix in {".html", ".htm", ".xhtml"} and _TAG.search(head)):
        return HTML
    return TEXT


def _narrow(data: bytes) -> bytes:
    return data[:16384].replace(b"\x00", b"").lstrip(b"\xff\xfe")


def _zip_type(data: bytes) -> str:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DoyenError(
            "DOC-009",
            "the file starts as a zip file (as DOCX does) but is damaged or cut short.",
            "Fetch or save the file again.",
        ) from error
    if "[Content_Types].xml" in names and any(name.startswith("word/") for name in names):
        return DOCX
    raise DoyenError(
        "DOC-006",
        f"the file is a zip archive and no DOCX; {RULE}",
        "Unpack it first, or save it as DOCX or PDF.",
    )
