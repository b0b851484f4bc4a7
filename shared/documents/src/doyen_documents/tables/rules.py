"""Drawn lines of a page: level and upright, joined where they were drawn in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

# Pieces of a line may lie this far apart, in points, along it and across it.
JOIN: Final = 3.0
SNAP: Final = 2.0


class Rule(NamedTuple):
    """A drawn line, or (``drawn`` 0) the edge of a shaded area, in points from the page's top left."""

    x0: float
    top: float
    x1: float
    bottom: float
    drawn: int = 1

    @property
    def level(self) -> bool:
        """Whether the line runs from left to right."""
        return self.x1 - self.x0 >= self.bottom - self.top


def split_rules(rules: Iterable[Rule]) -> tuple[list[Rule], list[Rule]]:
    """The level and the upright lines, each joined from its pieces and sorted by where it stands."""
    every = list(rules)
    return (
        _join([(r.top, r.x0, r.x1, r.drawn) for r in every if r.level], level=True),
        _join([(r.x0, r.top, r.bottom, r.drawn) for r in every if not r.level], level=False),
    )


def _join(pieces: list[tuple[float, float, float, int]], level: bool) -> list[Rule]:
    """Join pieces ``(across, start, end, drawn)`` that lie on one line and meet."""
    pieces.sort()
    groups: list[list[tuple[float, float, float, int]]] = []
    for piece in pieces:
        if groups and piece[0] - groups[-1][0][0] <= SNAP:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    joined: list[Rule] = []
    for group in groups:
        across = sum(piece[0] for piece in group) / len(group)
        start = end = None
        drawn = 0
        for _, begin, stop, inked in sorted(group, key=lambda piece: piece[1]):
            if start is None or end is None or begin > end + JOIN:
                if start is not None and end is not None:
                    joined.append(_rule(across, start, end, drawn, level))
                start, end, drawn = begin, stop, inked
            else:
                end, drawn = max(end, stop), max(drawn, inked)
        if start is not None and end is not None:
            joined.append(_rule(across, start, end, drawn, level))
    return joined


def _rule(across: float, start: float, end: float, drawn: int, level: bool) -> Rule:
    if level:
        return Rule(start, across, end, across, drawn)
    return Rule(across, start, across, end, drawn)
