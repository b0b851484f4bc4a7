"""Reads the sample contracts' sources: numbered clauses with labels, and references to labels.

A line is a block; its first characters say which: ``#`` title, ``===`` centred line, ``@`` recital, ``##`` article,
``+`` section, ``-`` item, ``!`` exhibit on a new page, ``|`` table row, ``$`` signature (party | name | title), else
a paragraph. ``{#x}`` at the end labels a block and ``[[x]]`` becomes its number; ``**bold**`` and ``_italic_`` are
the only inline marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MARKS = {
    "# ": "title", "=== ": "centre", "@ ": "recital", "## ": "article", "+ ": "section", "- ": "item",
    "! ": "exhibit", "| ": "row", "$ ": "signature",
}  # fmt: skip
LABEL = re.compile(r"\s*\{#(\w+)\}$")
INLINE = re.compile(r"\*\*(.+?)\*\*|_(.+?)_")


@dataclass
class Block:
    """One paragraph, row or signature; ``number`` as printed (``4.``, ``4.2``, ``(a)``), empty if unnumbered."""

    kind: str
    text: str
    number: str = ""

    def spans(self) -> list[tuple[str, str]]:
        """The text as (style, text) pairs; style is ``""``, ``"b"`` or ``"i"``."""
        parts: list[tuple[str, str]] = []
        position = 0
        for match in INLINE.finditer(self.text):
            parts.append(("", self.text[position : match.start()]))
            parts.append(("b", match[1]) if match[1] else ("i", match[2]))
            position = match.end()
        parts.append(("", self.text[position:]))
        return [(style, text) for style, text in parts if text]

    def cells(self) -> list[str]:
        """The cells of a table row or the fields of a signature."""
        return [cell.strip() for cell in self.text.split(" | ")]

    def plain(self) -> str:
        """The text without inline marks."""
        return "".join(text for _, text in self.spans())


@dataclass
class Contract:
    """A sample contract: settings of its head (``stem``, ``header``, ``footer``, ``formats``) and its blocks."""

    head: dict[str, str]
    blocks: list[Block]


def read(path: Path) -> Contract:
    """Read a source file; raises KeyError for a reference to a label that does not exist."""
    head_text, body = path.read_text(encoding="utf-8").split("\n===\n", 1)
    head = dict(line.split(": ", 1) for line in head_text.splitlines())
    blocks: list[Block] = []
    numbers: dict[str, str] = {}
    article = section = item = recital = 0
    for line in filter(None, body.splitlines()):
        mark = next((mark for mark in MARKS if line.startswith(mark)), "")
        text = line[len(mark) :]
        label = LABEL.search(text)
        block = Block(MARKS.get(mark, "paragraph"), LABEL.sub("", text))
        full = ""
        if block.kind == "recital":
            recital += 1
            block.number = f"{chr(64 + recital)}."
        elif block.kind == "article":
            article, section, item = article + 1, 0, 0
            block.number, full = f"{article}.", str(article)
        elif block.kind == "section":
            section, item = section + 1, 0
            block.number = full = f"{article}.{section}"
        elif block.kind == "item":
            item += 1
            block.number = f"({chr(96 + item)})"
            full = f"{article}.{section}{block.number}"
        if label:
            numbers[label[1]] = full
        blocks.append(block)
    for block in blocks:
        block.text = re.sub(r"\[\[(\w+)\]\]", lambda match: numbers[match[1]], block.text)
    return Contract(head, blocks)
