"""Where a heavy pattern is worth trying: the neighbourhoods of a cheap one."""

from __future__ import annotations

import re
from collections.abc import Iterator


def windows(text: str, trigger: re.Pattern[str], before: int, after: int) -> Iterator[tuple[int, int]]:
    """Ranges from ``before`` characters ahead of each match of ``trigger`` to ``after`` behind it, merged."""
    start = end = -1
    for match in trigger.finditer(text):
        left, right = max(0, match.start() - before), min(len(text), match.end() + after)
        if left > end:
            if end >= 0:
                yield start, end
            start = left
        end = right
    if end >= 0:
        yield start, end


def scan(
    pattern: re.Pattern[str], text: str, trigger: re.Pattern[str], before: int, after: int
) -> Iterator[re.Match[str]]:
    """The matches of ``pattern`` inside those windows, in order."""
    for start, end in windows(text, trigger, before, after):
        yield from pattern.finditer(text, start, end)
