"""Find a playbook's clause in a document: by the extractor, by section title, by wording."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from doyen_legal.extract.sentences import split_sentences
from doyen_legal.extract.types import Clause
from doyen_legal.playbook.model import Locator, Presence, compiled
from doyen_schemas import Document

Range = tuple[int, int]

# More passages of one clause than this, or longer ones, are not read: a section may hold a whole annex.
_MOST_PASSAGES: Final = 8
_LONGEST: Final = 4000


@dataclass(frozen=True, slots=True)
class Located:
    """Where a clause stands, and whether it stands there at all.

    ``probability`` is the extractor's that the document has the clause; None where it was not asked, or where a
    title or a pattern found the clause and there is nothing left to doubt.
    """

    state: Literal["present", "absent", "unsure"]
    passages: tuple[Range, ...]
    probability: float | None


class Finder:
    """Finds clauses in one document; sentences are split once, when a pattern needs them."""

    def __init__(
        self, document: Document, clauses: Sequence[Clause], presence: Mapping[str, float], bounds: Presence
    ) -> None:
        self.document, self.presence, self.bounds = document, presence, bounds
        self.clauses = sorted(clauses, key=lambda clause: -clause.score)
        self._sentences: list[Range] | None = None

    @property
    def sentences(self) -> list[Range]:
        """Ranges of the document's sentences; a heading without a full stop still ends the one before it."""
        if self._sentences is None:
            text = self.document.text
            cuts = sorted({0, len(text), *(section.start for section in self.document.sections)})
            self._sentences = [
                (start + a, start + b)
                for start, end in pairwise(cuts)
                for a, b in split_sentences(text[start:end])
            ]
        return self._sentences

    def find(self, locator: Locator) -> Located:
        """Passages of the clause in reading order, with what is known of its presence."""
        certain = [*self._by_title(locator), *self._by_pattern(locator)]
        candidates = [clause for clause in self.clauses if clause.label in locator.labels]
        known = [self.presence[label] for label in locator.labels if label in self.presence]
        known += [clause.score for clause in candidates]
        probability = max(known) if known else None
        above, below = self.bounds.present_above, self.bounds.absent_below
        sure = [(c.start, c.end) for c in candidates if c.score >= above]
        if probability is not None and probability >= above and candidates and not sure:
            sure = [(candidates[0].start, candidates[0].end)]
        if certain or sure:
            return Located("present", _merged([*sure, *certain]), None if certain else probability)
        doubtful = [(c.start, c.end) for c in candidates[:1] if c.score >= below]
        asked = probability is not None or bool(locator.titles or locator.patterns)
        if not asked or (probability is not None and probability > below):
            return Located("unsure", tuple(doubtful), probability)
        return Located("absent", (), probability)

    def _by_title(self, locator: Locator) -> list[Range]:
        return [
            (section.start, section.end)
            for section in self.document.sections
            if section.title and any(compiled(pattern).search(section.title) for pattern in locator.titles)
        ]

    def _by_pattern(self, locator: Locator) -> list[Range]:
        """The sentences that a match touches: a match may begin in the heading of the clause that it ends in."""
        text = self.document.text
        hits = [match.span() for pattern in locator.patterns for match in compiled(pattern).finditer(text)]
        if not hits:
            return []
        starts = [start for start, _ in self.sentences]
        found = []
        for start, end in sorted(hits):
            first = max(0, bisect_right(starts, start) - 1)
            last = max(first, bisect_right(starts, end - 1) - 1)
            found.append((self.sentences[first][0], self.sentences[last][1]))
        return found


def _merged(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Ranges in reading order, those inside another dropped, the longest cut."""
    kept: list[Range] = []
    for start, end in sorted(ranges, key=lambda r: (r[0], -r[1])):
        end = min(end, start + _LONGEST)
        if not kept or end > kept[-1][1]:
            kept.append((start, end))
    return tuple(kept[:_MOST_PASSAGES])
