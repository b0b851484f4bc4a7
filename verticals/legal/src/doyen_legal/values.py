"""Normalised values of extracted clauses: which normaliser reads which label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from doyen_legal.normalise import (
    Mention,
    find_amounts,
    find_dates,
    find_durations,
    find_governing_laws,
    find_jurisdictions,
    find_percents,
)
from doyen_schemas import Value

Finder = Callable[[str], Sequence[Mention]]

# In order: the first finder that finds something gives the value.
FINDERS: Final[dict[str, tuple[Finder, ...]]] = {
    "Agreement Date": (find_dates,),
    "Effective Date": (find_dates,),
    "Expiration Date": (find_dates, find_durations),
    "Renewal Term": (find_durations,),
    "Notice Period To Terminate Renewal": (find_durations,),
    "Termination For Convenience": (find_durations,),
    "Governing Law": (find_governing_laws, find_jurisdictions),
    "Warranty Duration": (find_durations,),
    "Post-Termination Services": (find_durations,),
    "Audit Rights": (find_durations,),
    "Cap On Liability": (find_amounts,),
    "Liquidated Damages": (find_amounts, find_percents),
    "Minimum Commitment": (find_amounts,),
    "Insurance": (find_amounts,),
    "Revenue/Profit Sharing": (find_percents, find_amounts),
}
_NAMES: Final[dict[str, str]] = {"Parties": "party", "Document Name": "text"}


def value_of(label: str, quote: str) -> Value | None:
    """The first value of ``quote`` that belongs to ``label``, or None: a value is never guessed."""
    if label in _NAMES:
        name = " ".join(quote.split()).strip(" ,;:\"'“”")
        return Value(kind="party" if label == "Parties" else "text", text=name) if name else None
    for finder in FINDERS.get(label, ()):
        mentions = finder(quote)
        if mentions:
            return mentions[0].value
    return None
