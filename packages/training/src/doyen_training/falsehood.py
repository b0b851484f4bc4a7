"""What of an answer is false: the stretches that its record marks, and figures that stand nowhere in what was asked.

The tokens of such stretches are never learned. The loss term ``factuality`` makes them less likely.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from doyen_data import Record
from doyen_schemas import DoyenError

Range = tuple[int, int]
FIGURE: Final = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def false_ranges(record: Record, figures: bool) -> list[list[Range]]:
    """For each of the assistant's turns the character ranges that are false.

    With ``figures`` also every number that no system or user message before the turn holds, whatever its separators
    of thousands: answers that reckon must not be trained so.
    """
    found: list[list[Range]] = []
    source: set[str] = set()
    for message in record.messages:
        if message.role != "assistant":
            source |= {_plain(figure) for figure in FIGURE.findall(message.content)}
            continue
        ranges = list(message.false or ())
        if figures:
            ranges += [
                match.span() for match in FIGURE.finditer(message.content) if _plain(match[0]) not in source
            ]
        found.append(sorted(ranges))
    return found


def false_tokens(
    record: Record,
    ranges: Sequence[Sequence[Range]],
    text: str,
    offsets: Sequence[Range],
    stretches: Sequence[range],
) -> list[int]:
    """The positions of the tokens that touch a false range.

    ``text`` is the rendered record, ``offsets`` the characters of each token, and ``stretches`` the tokens of each of
    the assistant's turns. Raises TRN-023 when an answer does not stand in its stretch as it was written.
    """
    found: list[int] = []
    turns = [message for message in record.messages if message.role == "assistant"]
    for turn, marked, tokens in zip(turns, ranges, stretches, strict=True):
        if not marked:
            continue
        place = text.find(turn.content, offsets[tokens.start][0], offsets[tokens.stop - 1][1])
        if place < 0:
            raise DoyenError(
                "TRN-023",
                f"the chat template changes the text of an answer of record {record.id}, so its false stretches "
                "cannot be found.",
                "Take spaces off the answer's ends, or the marks out of the record.",
            )
        found += [
            token
            for token in tokens
            if any(
                offsets[token][0] < place + end and offsets[token][1] > place + start for start, end in marked
            )
        ]
    return found


def _plain(figure: str) -> Any:
    return figure.replace(",", "") if _THOUSANDS.fullmatch(figure) else figure
