"""What the extractor returns: labelled spans with scores, and each label's presence in the document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Clause(NamedTuple):
    """A span ``[start, end)`` of the document's text under one of the 41 labels, with its score in [0, 1]."""

    label: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Extraction:
    """``clauses``: every candidate span, best first within a label. ``presence``: label to the probability that
    the document has such a clause at all."""

    clauses: list[Clause]
    presence: dict[str, float] = field(default_factory=dict)
