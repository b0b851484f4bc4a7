"""The text as the rules read it: same length as the document's, so that every offset holds in both."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from doyen_schemas import Document

# Between two words: blanks with at most one line break among them.
GAP: Final = r"(?: +(?:\n *)?|\n *)"
_STRAIGHT: Final = str.maketrans({
    "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "＂": '"', "″": '"',
    "’": "'", "‘": "'", "‛": "'", "`": "'", "´": "'", "\xa0": " ", "\u2007": " ", "\u202f": " ", "\t": " ",
    "‐": "-", "‑": "-", "–": "-", "—": "-", "−": "-",
})  # fmt: skip
_DOUBLED: Final = re.compile(r"''")
# What EDGAR and printing put between the lines of a clause.
_FOOTER: Final = re.compile(
    r"(?:Source:\s+[^\n]{1,120}?,\s+(?:8-K|10-K|10-Q|S-1|F-1|S-4|20-F|DRS|6-K|10-12G|SB-2|424B\d|10-KSB|POS|485|N-1A)[^\n,]{0,24},\s+\d{1,2}/\d{1,2}/\d{4})"
    r"|(?:(?<=\n)[ ]{0,20}(?:-\s?)?(?:Page\s+)?\d{1,3}(?:\s+of\s+\d{1,3})?(?:\s?-)?[ ]{0,20}(?=\n))"
    r"|(?:\[\*+\]|\[\s*\*[\s*]*\])",
    re.I,
)
# A list of exhibits in a table of contents stands in this first share of the text.
_CONTENTS_SHARE: Final = 0.15
_SIGNATURE_CHARS: Final = 2500
_SIGNATURES: Final = re.compile(
    r"\bIN\s+WITNESS\s+(?:WHEREOF|HEREOF)|\bIN\s+TESTIMONY\s+WHEREOF|\b(?-i:SIGNED|(?<=\n)\s*Signed)\s+(?:by|for\s+and\s+on\s+behalf)|\[\s*signature\s+page",
    re.I,
)
_PART: Final = re.compile(
    r"(?:(?<=\n)|\A|(?<=\s{3})|(?<=[.!)\]:]\s\s)|(?<=[.!)\]:]\s))[ ]{0,20}"
    r"(?P<kind>EXHIBIT|SCHEDULE|ANNEX|APPENDIX|ATTACHMENT|ADDENDUM|Exhibit|Schedule|Annex|Appendix|Attachment|Addendum)"
    r"\s+(?:No\.?\s*|NO\.?\s*|#\s*)?[\"']?(?P<label>[A-Z]{1,2}(?:-?\d{1,2})?|\d{1,2}(?:\.\d{1,2}|[A-Z]|-\d)?(?:\([a-z0-9]\))?|[IVX]{1,5}|ONE|TWO|THREE|FOUR|One|Two|Three|Four)[\"']?(?![\w'])"
)
# A heading is not followed by the rest of a sentence.
_NOT_HEADING: Final = re.compile(
    r"\s*(?:[,;)]|(?:hereto|hereof|attached|to\s+this|to\s+the|of\s+this|is\b|are\b|shall|will|and\s|or\s|sets?\b|contains?|which|for\b|as\b|in\b|may\b|includes?|shows?|provides?|lists?|under|annexed|below|above|hereunder|applies|has\b|have\b|by\b|from\b|if\b|with\b|on\b|at\b|that\b|upon\b|within\b|\"))"
)
_BOUNDARY: Final = re.compile(r"(?<=[.;?!])[\"')]?\s+(?=[A-Z(\"\d])|\n[ ]{0,20}\n\s*(?=[A-Z(\"\d])")
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:Inc|Corp|Ltd|Co|No|Nos|Sec|Art|vs|Mr|Mrs|Ms|Dr|St|Jr|Sr|L\.P|L\.L\.C|N\.A|S\.A|U\.S|U\.S\.A|D\.C|e\.g|i\.e|approx|Jan|Feb|Mar|Apr|Aug|Sept|Oct|Nov|Dec|[A-Z])\.)[\"')]?$"
)
_AMENDMENT: Final = re.compile(
    r"\b(?:(?:FIRST|SECOND|THIRD|FOURTH|FIFTH|SIXTH|SEVENTH|EIGHTH|NINTH|TENTH|\d+(?:ST|ND|RD|TH))\s+)?(?:AMENDMENT|ADDENDUM|SUPPLEMENT|MODIFICATION|EXTENSION)\s+(?:NO\.?|NUMBER|#|\d|TO\b|AGREEMENT|OF\b)|\bAMENDMENT\b",
    re.I,
)


@dataclass(frozen=True)
class Part:
    """The body of the contract (no kind, no label) or one of its exhibits: ``[start, end)``."""

    kind: str
    label: str
    start: int
    end: int


class Source:
    """A document's text with straight quotes and blanked page footers, and where its parts stand."""

    def __init__(self, document: Document) -> None:
        self.document = document
        text = _DOUBLED.sub('" ', document.text.translate(_STRAIGHT))
        self.text = _FOOTER.sub(lambda match: " " * len(match[0]), text)

    @cached_property
    def lower(self) -> str:
        """The text in small letters, offsets kept (a few letters grow when they are lowered)."""
        lowered = self.text.lower()
        if len(lowered) == len(self.text):
            return lowered
        return "".join(char.lower() if len(char.lower()) == 1 else char for char in self.text)

    @cached_property
    def parts(self) -> list[Part]:
        """The body and the exhibits behind it, in order."""
        heads = [
            match
            for match in _PART.finditer(self.text)
            if not _NOT_HEADING.match(self.text, match.end())
            and match.start() > _CONTENTS_SHARE * len(self.text)
        ]
        starts = [0, *(match.start() for match in heads)]
        ends = [*starts[1:], len(self.text)]
        names = [("", ""), *((match["kind"].capitalize(), match["label"]) for match in heads)]
        return [Part(*name, start, end) for name, start, end in zip(names, starts, ends, strict=True)]

    def part_at(self, offset: int) -> Part:
        """The part that holds ``offset``; a repeated page heading of an exhibit does not divide it."""
        return self.parts[bisect_right(self._part_starts, offset) - 1]

    @cached_property
    def _part_starts(self) -> list[int]:
        return [part.start for part in self.parts]

    def scope(self, offset: int) -> str:
        """The name of the part at ``offset``: empty in the body, "Exhibit A" in that exhibit."""
        part = self.part_at(offset)
        return f"{part.kind} {part.label}".strip()

    @cached_property
    def body_end(self) -> int:
        """Where the signatures of the body start, or the first exhibit, or the end of the text."""
        limit = self.parts[1].start if len(self.parts) > 1 else len(self.text)
        found = [match.start() for match in _SIGNATURES.finditer(self.text) if match.start() > 0.2 * limit]
        return min([*found[:1], limit])

    @cached_property
    def _signed(self) -> list[int]:
        return [match.start() for match in _SIGNATURES.finditer(self.text)]

    def signed(self, offset: int) -> bool:
        """Whether ``offset`` lies in a block of signatures, full of names and titles."""
        index = bisect_right(self._signed, offset) - 1
        return index >= 0 and offset - self._signed[index] < _SIGNATURE_CHARS

    @cached_property
    def is_amendment(self) -> bool:
        """Whether the document changes another one, whose sections and terms it names as its own."""
        return bool(_AMENDMENT.search(self.text, 0, 500)) and bool(
            re.search(r"\b(?:amend(?:ed|s|ment|ing)?|supplement(?:s|ed)?)\b", self.text[:4000], re.I)
        )

    @cached_property
    def _boundaries(self) -> list[int]:
        text = self.text
        return [0] + [
            match.end()
            for match in _BOUNDARY.finditer(text)
            if ("\n" in match[0].strip(" ") and match[0].count("\n") > 1)
            or not _ABBREVIATION.search(text, max(0, match.start() - 8), match.start())
        ]

    def sentence(self, offset: int) -> tuple[int, int]:
        """The sentence or list item around ``offset``."""
        index = bisect_right(self._boundaries, offset) - 1
        start = self._boundaries[index]
        end = self._boundaries[index + 1] if index + 1 < len(self._boundaries) else len(self.text)
        return start, end
