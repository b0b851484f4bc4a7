"""Normalised values of extracted clauses: which normaliser reads which label."""

from __future__ import annotations

import re
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
# What follows a party's name where it is introduced: its form, seat or role.
_AFTER_NAME: Final = re.compile(
    r"\s*\(|,?\s+(?:an?|having|with|whose|located|organi[sz]ed|incorporated|existing|duly|acting|at)\s|,\s+(?:the|of|as)\s",
    re.IGNORECASE,
)


def value_of(label: str, quote: str) -> Value | None:
    """The first value of ``quote`` that belongs to ``label``, or None: a value is never guessed."""
    if label in _NAMES:
        name = " ".join(quote.split())
        if label == "Parties":
            name = _AFTER_NAME.split(name, maxsplit=1)[0]
        name = name.strip(" ,;:\"'“”")
        return Value.model_validate({"kind": _NAMES[label], "text": name}) if name else None
    for finder in FINDERS.get(label, ()):
        mentions = finder(quote)
        if mentions:
            return mentions[0].value
    return None
