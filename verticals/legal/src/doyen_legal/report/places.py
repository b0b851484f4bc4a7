"""Where a quote stands in a Word file: paragraphs and offsets, found by the text itself.

The text of ``Document`` and that of a DOCX differ in white space and in numbers that Word computes, so offsets do
not carry over. Both are compared without white space; of several occurrences the one nearest to the quote's
relative place wins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from copy import deepcopy
from itertools import accumulate
from typing import Any, Final, NamedTuple

from docx.oxml.ns import qn

_TEXT: Final = qn("w:t")
_SPACES: Final = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_RUN: Final = qn("w:r")
_MIN_PIECE: Final = 12


class Place(NamedTuple):
    """A range of a paragraph's text (see ``paragraph_text``); ``exact`` is False when only the paragraph is known."""

    paragraph: Any
    start: int
    end: int
    exact: bool


def _live_runs(paragraph: Any) -> Iterator[Any]:
    """The runs that make up the current text: not those deleted, moved away, or inside a nested text box."""
    for run in paragraph.iter(_RUN):
        parent = run.getparent()
        while parent is not paragraph and parent.tag not in (qn("w:del"), qn("w:moveFrom"), qn("w:p")):
            parent = parent.getparent()
        if parent is paragraph:
            yield run


def _pieces(paragraph: Any) -> Iterator[tuple[Any, Any, str]]:
    """(run, child, text) of the paragraph in order."""
    for run in _live_runs(paragraph):
        for child in run:
            if child.tag == _TEXT:
                yield run, child, child.text or ""
            elif child.tag in _SPACES:
                yield run, child, _SPACES[child.tag]


def paragraph_text(paragraph: Any) -> str:
    """The paragraph's current text: tracked insertions in, deletions out."""
    return "".join(text for _, _, text in _pieces(paragraph))


def runs_of(paragraph: Any, start: int, end: int) -> list[Any]:
    """The runs that hold exactly ``[start, end)``: runs are split at the borders."""
    for border in (start, end):
        _split(paragraph, border)
    runs, position = [], 0
    for run in _live_runs(paragraph):
        length = sum(
            len(child.text or "") if child.tag == _TEXT else len(_SPACES.get(child.tag, "")) for child in run
        )
        if length and start <= position and position + length <= end:
            runs.append(run)
        position += length
    return runs


def _split(paragraph: Any, border: int) -> None:
    """Split the run that ``border`` falls into."""
    position = 0
    for run, child, text in list(_pieces(paragraph)):
        if position < border < position + len(text):
            left, right = text[: border - position], text[border - position :]
            _cut(run, child, left, right)
            return
        # A border between two children of one run splits the run as well.
        if position == border and any(
            sibling.tag in (_TEXT, *_SPACES) for sibling in child.itersiblings(preceding=True)
        ):
            _cut(run, child, "", None)
            return
        position += len(text)


def _cut(run: Any, child: Any, left: str, right: str | None) -> None:
    """Move ``child`` and what follows it into a new run; with ``right``, ``left`` of its text stays behind."""
    after = deepcopy(run)
    index = list(run).index(child)
    for element in list(run)[index + (1 if right is not None else 0) :]:
        run.remove(element)
    for element in list(after)[:index]:
        if element.tag != qn("w:rPr"):
            after.remove(element)
    if right is not None:
        moved = next(element for element in after if element.tag == _TEXT)
        for element, text in ((child, left), (moved, right)):
            element.text = text
            element.set(qn("xml:space"), "preserve")
    run.addnext(after)


class Locator:
    """Finds the quotes of one document in the paragraphs of a Word file, as long as its text is unchanged."""

    def __init__(self, body: Any, text: str) -> None:
        self.paragraphs = list(body.iter(qn("w:p")))
        texts = [paragraph_text(paragraph) for paragraph in self.paragraphs]
        self._compact = ["".join(text.split()) for text in texts]
        self._starts = list(accumulate((len(compact) for compact in self._compact), initial=0))
        self._joined = "".join(self._compact)
        self._text = text
        self._length = max(1, len(text))

    def find(self, start: int, end: int) -> list[Place]:
        """The places of ``[start, end)`` of the document's text, one a paragraph; empty when it is not there."""
        quote = "".join(self._text[start:end].split())
        at = self._nearest(quote, start)
        if at is not None:
            return self._places(at, at + len(quote), exact=True)
        # A quote over several paragraphs holds numbers that Word computes: find its lines one by one.
        places: list[Place] = []
        position = start
        for line in self._text[start:end].splitlines(keepends=True):
            compact = "".join(line.split())
            if len(compact) >= _MIN_PIECE:
                places += self._line(compact, position)
            position += len(line)
        return places

    def _line(self, compact: str, position: int) -> list[Place]:
        """The place of a line, without the number at its head where need be."""
        for skipped in range(0, min(10, len(compact) - _MIN_PIECE + 1)):
            at = self._nearest(compact[skipped:], position)
            if at is not None:
                return self._places(at, at + len(compact) - skipped, exact=True)
        at = self._nearest(compact[-3 * _MIN_PIECE :], position)
        if at is None:
            return []
        return [place._replace(exact=False) for place in self._places(at, at + 1, exact=True)]

    def _nearest(self, compact: str, start: int) -> int | None:
        """The occurrence nearest to the relative place of ``start``."""
        if not compact:
            return None
        expected = start / self._length * len(self._joined)
        before = self._joined.rfind(compact, 0, int(expected) + len(compact))
        after = self._joined.find(compact, max(0, int(expected)))
        found = [at for at in (before, after) if at >= 0]
        return min(found, key=lambda at: abs(at - expected)) if found else None

    def _places(self, start: int, end: int, *, exact: bool) -> list[Place]:
        places = []
        index = bisect_right(self._starts, start) - 1
        while index < len(self.paragraphs) and self._starts[index] < end:
            left, right = (
                max(0, start - self._starts[index]),
                min(len(self._compact[index]), end - self._starts[index]),
            )
            if left < right:
                raw = paragraph_text(self.paragraphs[index])
                offsets = [i for i, character in enumerate(raw) if not character.isspace()]
                places.append(Place(self.paragraphs[index], offsets[left], offsets[right - 1] + 1, exact))
            index += 1
        return places
