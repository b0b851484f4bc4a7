"""Counts, sums and recency over a key's recent past, each row seeing nothing after itself.

Sums are kept in whole minor units, so that a figure does not depend on the rows after it, not even by rounding.
Shape legend: N rows, sorted by nothing in particular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DAY = 86_400


@dataclass(frozen=True)
class Window:
    """Rows of the same key in ``(t - delay - length, t - delay]``: their number and the sum of their values, (N,)."""

    count: Ints
    total: Ints


class Past:
    """Rows grouped by key in time order, to be asked for windows that end at or before each row.

    Args:
        keys: group numbers, (N,).
        seconds: time of each row, whole seconds, (N,).
    """

    def __init__(self, keys: Ints, seconds: Ints) -> None:
        self._span = int(seconds.max() - seconds.min()) + 1 if len(seconds) else 1
        code = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        self._start = code * (2 * self._span)
        self._time = seconds - (seconds.min() if len(seconds) else 0)
        self._order = np.argsort(self._start + self._time, kind="stable")
        self._sorted = (self._start + self._time)[self._order]

    def upto(self, ago: int) -> Ints:
        """How many sorted rows stand at or before ``t - ago`` of each row, counted over all keys, (N,)."""
        # No further back than the key's own beginning: the span separates the keys.
        at = np.maximum(self._time - ago, -1)
        return np.searchsorted(self._sorted, self._start + at, side="right").astype(np.int64)

    def window(self, length: int, values: Ints, delay: int = 0) -> Window:
        """The window of ``length`` seconds that ends ``delay`` seconds before each row (rows at that instant count)."""
        total = np.concatenate([[0], np.cumsum(values[self._order])])
        last, first = self.upto(delay), self.upto(delay + length)
        return Window(last - first, total[last] - total[first])

    def since(self, marked: NDArray[np.bool_], delay: int) -> Floats:
        """Seconds since the key's latest marked row that is at least ``delay`` old; infinite if none, (N,)."""
        times = np.where(marked[self._order], self._sorted, -1)
        latest = np.concatenate([[-1], np.maximum.accumulate(times)]) if len(times) else np.array([-1])
        found = latest[self.upto(delay)]
        return np.where(found >= self._start, (self._start + self._time - found).astype(np.float64), np.inf)

    def since_first(self, marked: NDArray[np.bool_], delay: int, length: int) -> Floats:
        """Seconds since the first marked row of the window ``(t - delay - length, t - delay]``; infinite if none."""
        at = np.where(marked[self._order], np.arange(len(self._order)), len(self._order))
        following = np.minimum.accumulate(at[::-1])[::-1] if len(at) else at
        following = np.concatenate([following, [len(self._order)]])
        last, first = self.upto(delay), self.upto(delay + length)
        found = following[first]
        inside = found < last
        times = np.concatenate([self._sorted, [0]])[found]
        return np.where(inside, (self._start + self._time - times).astype(np.float64), np.inf)

    def latest(self, rows: int, values: Ints, delay: int) -> Floats:
        """The mean value of the key's last ``rows`` rows that are at least ``delay`` old; 0 if there is none, (N,)."""
        total = np.concatenate([[0], np.cumsum(values[self._order])])
        last = self.upto(delay)
        first = np.maximum(last - rows, np.searchsorted(self._sorted, self._start, side="left"))
        return (total[last] - total[first]) / np.maximum(last - first, 1)
