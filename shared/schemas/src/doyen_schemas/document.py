"""One document model for every input format.

All offsets are Unicode code points into ``Document.text``, half open: ``[start, end)``.
Boxes are in PDF points (1/72 inch) with the origin at the page's top left.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Box(BaseModel):
    """A rectangle on a page: page number (from 1) and ``x0, top, x1, bottom`` in points."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    page: int
    x0: float
    top: float
    x1: float
    bottom: float


class Run(NamedTuple):
    """A word of the text and where it stands: the unit from which boxes are computed."""

    start: int
    end: int
    page: int
    x0: float
    top: float
    x1: float
    bottom: float


class Page(BaseModel):
    """A page: number (from 1), size in points, its range in the text, and whether it has no text layer."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    number: int
    width: float
    height: float
    start: int
    end: int
    needs_ocr: bool = False


class Section(BaseModel):
    """A numbered or titled part of the document.

    ``number`` is as printed without trailing punctuation (``"4.2"``, ``"(a)"``, ``"IV"``; empty for a bare
    title); ``path`` joins the numbers of the ancestors (``"4.2(a)"``). ``[start, end)`` spans heading and
    body, ``heading_end`` ends the heading.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    number: str
    path: str
    title: str
    level: int
    start: int
    heading_end: int
    end: int


class Edit(BaseModel):
    """One reversible change made between the raw extraction and ``Document.text``.

    ``text[start:end]`` stands where ``raw`` stood: a joined line wrap, a removed running header or footer.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    kind: Literal["wrap", "hyphen", "header", "footer", "space"]
    start: int
    end: int
    raw: str


class Document(BaseModel):
    """A document read into one text, with pages, word boxes and sections."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    schema_version: Literal["1"] = "1"
    sha256: str
    name: str
    media_type: str
    text: str
    pages: list[Page] = Field(default_factory=list)
    runs: list[Run] = Field(default_factory=list)
    sections: list[Section] = Field(default_factory=list)
    edits: list[Edit] = Field(default_factory=list)

    @property
    def needs_ocr(self) -> bool:
        """True when the document has pages and none of them, or fewer than half, has a text layer."""
        return bool(self.pages) and 2 * sum(page.needs_ocr for page in self.pages) > len(self.pages)

    def quote(self, start: int, end: int) -> str:
        """The text of ``[start, end)``; raises ValueError when the range is not inside the text."""
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"range [{start}, {end}) is not inside a text of {len(self.text)} characters")
        return self.text[start:end]

    def page_at(self, offset: int) -> int | None:
        """The number of the page that holds ``offset``, or None for a format without pages."""
        index = bisect_right(self._page_starts, offset) - 1
        return self.pages[index].number if index >= 0 else None

    def boxes(self, start: int, end: int) -> list[Box]:
        """The boxes that cover ``[start, end)``: one per line of print, in reading order."""
        boxes: list[Box] = []
        index = max(0, bisect_right(self._run_starts, start) - 1)
        for run in self.runs[index:]:
            if run.start >= end:
                break
            if run.end <= start:
                continue
            last = boxes[-1] if boxes else None
            same_line = (
                last is not None
                and last.page == run.page
                and min(last.bottom, run.bottom) - max(last.top, run.top) > 0.5 * (run.bottom - run.top)
                and run.x0 >= last.x0
            )
            if last is not None and same_line:
                boxes[-1] = Box(
                    page=run.page, x0=last.x0, top=min(last.top, run.top),
                    x1=max(last.x1, run.x1), bottom=max(last.bottom, run.bottom),
                )  # fmt: skip
            else:
                boxes.append(Box(page=run.page, x0=run.x0, top=run.top, x1=run.x1, bottom=run.bottom))
        return boxes

    def raw(self) -> str:
        """The extraction before joining and removing: the edits undone."""
        parts: list[str] = []
        position = 0
        for edit in self.edits:
            parts += [self.text[position : edit.start], edit.raw]
            position = edit.end
        return "".join([*parts, self.text[position:]])

    @cached_property
    def _page_starts(self) -> list[int]:
        return [page.start for page in self.pages]

    @cached_property
    def _run_starts(self) -> list[int]:
        return [run.start for run in self.runs]
