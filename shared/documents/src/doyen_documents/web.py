"""HTML: the text as a browser shows it, block elements on lines of their own.

Scripts, styles and hidden parts are dropped, entities decoded, ordered lists numbered. Nothing is fetched.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from doyen_documents.numbering import format_number
from doyen_documents.plain import decode
from doyen_documents.sections import Heading, find_sections
from doyen_documents.sniff import HTML
from doyen_schemas import Document, DoyenError

if TYPE_CHECKING:
    from lxml.etree import _Element

SKIPPED: Final = frozenset(
    [
        "script",
        "style",
        "head",
        "noscript",
        "template",
        "iframe",
        "object",
        "svg",
        "canvas",
        "audio",
        "video",
        "select",
        "option",
        "button",
        "textarea",
    ]
)
PARAGRAPHS: Final = frozenset(
    [
        "p",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "table",
        "blockquote",
        "pre",
        "hr",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "nav",
        "aside",
        "address",
        "figure",
        "figcaption",
        "form",
        "fieldset",
        "center",
        "body",
    ]
)
LINES: Final = frozenset({"br", "tr", "caption"})
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET = re.compile(
    rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE
)
_LIST_FORMS: Final = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}


def read_html(data: bytes, sha256: str, name: str) -> Document:
    """A document of an HTML file; raises DOC-015 when it holds no element or nests too deeply."""
    from lxml import etree

    # huge_tree lets old pages nest their unclosed tags 2,048 deep instead of 256; the file's size is bounded before.
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )
    source = _decoded(data).replace("\x00", "")
    try:
        root = etree.fromstring(source.encode("utf-8", errors="replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _broken("has no readable element") from error
    if root is None:
        raise _broken("has no readable element")
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise _broken("nests its elements more than 2048 deep")  # the parser drops the text inside
    writer = _Writer()
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start":
            writer.start(element)
        else:
            writer.end(element)
    text = "".join(writer.parts).rstrip()
    return Document(
        sha256=sha256, name=name, media_type=HTML, text=text, sections=find_sections(text, writer.headings)
    )


def _broken(what: str) -> DoyenError:
    return DoyenError("DOC-015", f"the HTML file {what}.", "Save the page again, or give it as text.")


def _decoded(data: bytes) -> str:
    """By the byte order mark, else the encoding that the file declares, else as plain text."""
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return decode(data)
    declared = _CHARSET.search(data[:4096])
    if declared is not None:
        label = (declared[1] or declared[2]).decode("ascii", errors="replace").lower()
        label = {"iso-8859-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252"}.get(
            label, label
        )
        try:
            return data.decode(label)
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong declaration: go by the bytes
    return decode(data)


class _Writer:
    """Text with white space collapsed as in a browser, and the headings' ranges."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self._length = 0
        self._pending = ""  # the separator due before the next text
        self._skipping = 0
        self._preserved = 0
        self._heading_start: int | None = None
        self._counters: list[int | None] = []
        self._after_number = False  # a paragraph that opens a list item stands on its number's line

    def start(self, element: _Element) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if (
            self._skipping
            or tag in SKIPPED
            or "hidden" in element.attrib
            or _HIDDEN.search(element.get("style", ""))
        ):
            self._skipping += 1
            return
        if tag in PARAGRAPHS:
            self._due("\n\n")
        elif tag in LINES:
            self._due("\n", repeat=tag == "br")
        elif tag in ("td", "th") and element.getprevious() is not None:
            self._due("\t")
        if tag in ("ol", "ul"):
            start = element.get("start", "1")
            first = int(start) if start.isdigit() and len(start) < 6 else 1
            self._counters.append(first if tag == "ol" else None)
        elif tag == "li":
            self._item(element)
        elif tag == "pre":
            self._preserved += 1
        elif _heading_level(tag):
            self._heading_start = None
        self._text(element.text)

    def end(self, element: _Element) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if self._skipping:
            self._skipping -= 1
            if not self._skipping:
                self._text(element.tail)
            return
        if tag in ("ol", "ul") and self._counters:
            self._counters.pop()
        elif tag == "pre":
            self._preserved -= 1
        elif (level := _heading_level(tag)) and self._heading_start is not None:
            self.headings.append(Heading(self._heading_start, self._length, level))
        if tag in PARAGRAPHS:
            self._due("\n\n")
        elif tag == "tr":
            self._due("\n")
        self._text(element.tail)

    def _item(self, element: _Element) -> None:
        if not self._counters:
            return
        counter = self._counters[-1]
        if counter is None:
            self._text("• ")
            self._after_number = True
            return
        parent = element.getparent()
        form = _LIST_FORMS.get(parent.get("type", "1") if parent is not None else "1", "decimal")
        self._text(f"{format_number(counter, form)}. ")
        self._after_number = True
        self._counters[-1] = counter + 1

    def _due(self, separator: str, *, repeat: bool = False) -> None:
        """Ask for a separator; the strongest that is asked for is written, a further line break adds to it."""
        if self._after_number:
            return
        order = ("", " ", "\t", "\n", "\n\n")
        if repeat and self._pending == "\n":
            self._pending = "\n\n"
        elif order.index(separator) > order.index(self._pending):
            self._pending = separator

    def _text(self, text: str | None) -> None:
        if not text:
            return
        if not self._preserved:
            text = _SPACE.sub(" ", text)
            if text.startswith(" "):
                self._due(" ")
            body = text.strip(" ")
            if body:
                self._write(body)
                if text.endswith(" "):
                    self._due(" ")
            return
        self._write(text.replace("\r\n", "\n"))

    def _write(self, text: str) -> None:
        separator = self._pending if self._length else ""
        self._pending = ""
        self._after_number = False
        self.parts += [separator, text]
        self._length += len(separator)
        if self._heading_start is None:
            self._heading_start = self._length
        self._length += len(text)


def _heading_level(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0
