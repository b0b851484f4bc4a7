"""Tables whose cells are drawn: level and upright rules that cross, walls that are missing merge cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from doyen_documents.tables.grid import Draft
from doyen_documents.tables.model import Word
from doyen_documents.tables.rules import Rule

TOUCH: Final = 3.0
# A wall stands between two cells where rules cover this share of their common side.
WALL: Final = 0.6
# Rules that reach this far beyond the outermost crossing one leave an outer column or row open.
OPEN: Final = 8.0
MAX_SIDE: Final = 400
# More is a drawing, and comparing all of it would take minutes a page.
MAX_CELLS: Final = 20_000
MAX_PAIRS: Final = 4_000_000


class Lattice:
    """Crossing rules: where they stand, and the grid that they draw."""

    def __init__(self, level: Sequence[Rule], upright: Sequence[Rule]) -> None:
        self.level, self.upright = list(level), list(upright)
        self.ys = _places([rule.top for rule in level])
        self.xs = _places([rule.x0 for rule in upright])
        self._open_sides()

    @property
    def x0(self) -> float:
        return self.xs[0]

    @property
    def x1(self) -> float:
        return self.xs[-1]

    @property
    def top(self) -> float:
        return self.ys[0]

    @property
    def bottom(self) -> float:
        return self.ys[-1]

    @property
    def area(self) -> float:
        return (self.x1 - self.x0) * (self.bottom - self.top)

    def _open_sides(self) -> None:
        """Add the outer columns and rows that no rule closes but at least two rules reach into."""
        left = sorted(rule.x0 for rule in self.level if rule.x0 < self.xs[0] - OPEN)
        right = sorted(rule.x1 for rule in self.level if rule.x1 > self.xs[-1] + OPEN)
        up = sorted(rule.top for rule in self.upright if rule.top < self.ys[0] - OPEN)
        down = sorted(rule.bottom for rule in self.upright if rule.bottom > self.ys[-1] + OPEN)
        if len(left) >= 2:
            self.xs.insert(0, left[0])
        if len(right) >= 2:
            self.xs.append(right[-1])
        if len(up) >= 2:
            self.ys.insert(0, up[0])
        if len(down) >= 2:
            self.ys.append(down[-1])

    def drafts(self, words: Sequence[Word]) -> list[Draft]:
        """The cells with the words whose middle lies in them."""
        rows, columns = len(self.ys) - 1, len(self.xs) - 1
        beside = [[self._wall_right(r, c) for c in range(columns)] for r in range(rows)]
        below = [[self._wall_below(r, c) for c in range(columns)] for r in range(rows)]
        owner: dict[tuple[int, int], Draft] = {}
        drafts: list[Draft] = []
        for row in range(rows):
            for column in range(columns):
                if (row, column) in owner:
                    continue
                width = 1
                while (
                    column + width < columns
                    and not beside[row][column + width - 1]
                    and (row, column + width) not in owner
                ):
                    width += 1
                height = 1
                while row + height < rows and all(
                    not below[row + height - 1][c] and (row + height, c) not in owner
                    for c in range(column, column + width)
                ) and not any(beside[row + height][c] for c in range(column, column + width - 1)):  # fmt: skip
                    height += 1
                draft = Draft(row, column, height, width)
                drafts.append(draft)
                for r in range(row, row + height):
                    for c in range(column, column + width):
                        owner[r, c] = draft
        for word in words:
            row = _index(self.ys, (word.top + word.bottom) / 2)
            column = _index(self.xs, (word.x0 + word.x1) / 2)
            if (row, column) in owner:
                owner[row, column].words.append(word)
        return drafts

    def _wall_right(self, row: int, column: int) -> bool:
        x, top, bottom = self.xs[column + 1], self.ys[row], self.ys[row + 1]
        covered = sum(
            max(0.0, min(rule.bottom, bottom) - max(rule.top, top))
            for rule in self.upright
            if abs(rule.x0 - x) <= TOUCH
        )
        return covered >= WALL * (bottom - top)

    def _wall_below(self, row: int, column: int) -> bool:
        y, x0, x1 = self.ys[row + 1], self.xs[column], self.xs[column + 1]
        covered = sum(
            max(0.0, min(rule.x1, x1) - max(rule.x0, x0)) for rule in self.level if abs(rule.top - y) <= TOUCH
        )
        return covered >= WALL * (x1 - x0)


def find_lattices(level: Sequence[Rule], upright: Sequence[Rule]) -> list[Lattice]:
    """The connected sets of crossing rules that draw at least two cells; none on a page of drawings."""
    if len(level) * len(upright) > MAX_PAIRS:
        return []
    parent = list(range(len(level) + len(upright)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for i, across in enumerate(level):
        for j, wall in enumerate(upright, start=len(level)):
            if (
                across.x0 - TOUCH <= wall.x0 <= across.x1 + TOUCH
                and wall.top - TOUCH <= across.top <= wall.bottom + TOUCH
            ):
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for i, rule in enumerate([*level, *upright]):
        groups.setdefault(root(i), ([], []))[int(i >= len(level))].append(rule)
    found = []
    for levels, uprights in groups.values():
        if len(levels) < 2 or not uprights:
            continue
        wide, high = len(_places([r.x0 for r in uprights])), len(_places([r.top for r in levels]))
        if max(wide, high) > MAX_SIDE or wide * high > MAX_CELLS:
            continue  # a drawing, not a table
        lattice = Lattice(levels, uprights)
        if len(lattice.xs) >= 2 and len(lattice.ys) >= 2 and len(lattice.xs) + len(lattice.ys) >= 5:
            found.append(lattice)
    return found


def _places(values: Sequence[float]) -> list[float]:
    """Coordinates with those that lie within a double rule of each other taken as one."""
    places: list[list[float]] = []
    for value in sorted(values):
        if places and value - places[-1][-1] <= TOUCH:
            places[-1].append(value)
        else:
            places.append([value])
    return [sum(place) / len(place) for place in places]


def _index(places: Sequence[float], value: float) -> int:
    """The interval between places that holds a value; -1 outside."""
    for index, (low, high) in enumerate(pairwise(places)):
        if low <= value <= high:
            return index
    return -1
