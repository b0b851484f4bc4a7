"""The faults that the checker reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KINDS: Final[tuple[str, ...]] = (
    "undefined-term", "unused-term", "duplicate-definition", "case-drift", "dangling-section", "dangling-exhibit",
    "number-word-mismatch", "date-order", "term-arithmetic", "conflicting-law", "conflicting-cap",
    "party-name-drift",
)  # fmt: skip

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fault:
    """A contradiction or a loose end at ``[start, end)`` of the text.

    ``related`` are the places that it conflicts with; ``note`` marks what a reader may want to know but no
    one need act on. ``message`` names the term or number concerned: it is for the report, never for a log.
    """

    kind: str
    start: int
    end: int
    message: str
    related: tuple[Span, ...] = ()
    note: bool = False
