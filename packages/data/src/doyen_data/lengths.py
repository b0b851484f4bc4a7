"""How long the records are in a model's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BAR_WIDTH = 40


@dataclass(frozen=True, slots=True)
class LengthReport:
    """Token counts of a data set: quantiles, how many exceed ``limit``, and a histogram ``[(upper, count)]``."""

    count: int
    total: int
    median: int
    p95: int
    longest: int
    limit: int
    over_limit: int
    histogram: tuple[tuple[int, int], ...]

    def lines(self) -> list[str]:
        """The report as text, one bar a bin."""
        top = max(count for _, count in self.histogram)
        bars = [
            f"  ≤{upper:>6} {'#' * round(BAR_WIDTH * n / top):<{BAR_WIDTH}} {n}"
            for upper, n in self.histogram
        ]
        return [
            f"{self.count} records, {self.total} tokens; median {self.median}, 95 % {self.p95}, "
            f"longest {self.longest}; {self.over_limit} over the limit of {self.limit}",
            *bars,
        ]


def length_report(lengths: Sequence[int], limit: int, bins: int = 10) -> LengthReport:
    """Summarise token counts; ``lengths`` must not be empty."""
    ordered = sorted(lengths)
    step = -(-ordered[-1] // bins)
    histogram = tuple(
        (upper, sum(upper - step < length <= upper for length in ordered))
        for upper in range(step, step * bins + 1, step)
    )
    return LengthReport(
        count=len(ordered),
        total=sum(ordered),
        median=ordered[len(ordered) // 2],
        p95=ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        longest=ordered[-1],
        limit=limit,
        over_limit=sum(length > limit for length in ordered),
        histogram=histogram,
    )
