"""Dates, amounts, durations, percentages and jurisdictions of a contract, normalised.

Every finder takes a text and returns ``Mention(start, end, value)`` in order, without overlap.
"""

from doyen_legal.normalise.amounts import find_amounts
from doyen_legal.normalise.dates import find_dates
from doyen_legal.normalise.durations import (
    add_duration,
    approximate_days,
    find_durations,
    parse_duration,
    spell_duration,
)
from doyen_legal.normalise.jurisdictions import find_governing_laws, find_jurisdictions
from doyen_legal.normalise.numbers import parse_number
from doyen_legal.normalise.percents import find_percents
from doyen_legal.normalise.types import Mention

__all__ = [
    "Mention", "add_duration", "approximate_days", "find_amounts", "find_dates", "find_durations",
    "find_governing_laws", "find_jurisdictions", "find_percents", "parse_duration", "parse_number",
    "spell_duration",
]  # fmt: skip
