"""How parties are introduced: ``Acme, Inc., a Delaware corporation ("Acme")`` as one span with name and role.

The span from the name to the end of its parenthesis is the evidence that a reader wants: it names the party, says
what it is, and defines how the contract calls it.
"""

from __future__ import annotations

import re
from typing import Final

_ALIAS: Final = re.compile(
    r"""\([^()]{0,160}?["“”']{1,2}(?P<alias>[^"“”()]{1,60}?)["“”']{1,2}[^()]{0,100}\)"""
)
# Things that preambles define in the same way and that are no party.
_NO_PARTY: Final = re.compile(
    r"\b(?:agreement|date|contract|part(?:y|ies)|term|products?|services?|act|exhibit|schedule|territory|business|"
    r"commission|amendment|plan|lease|license[sd]?|technology|project|site|web\s?site|software|shares|stock)\b",
    re.I,
)
_OPENS: Final = re.compile(r"\b(?:between|among|amongst|by|from|with|party|parties)\b[:,]?\s+", re.I)
_JOINS: Final = re.compile(
    r"^(?:[\s,;:.]|\b(?:and|between|among|by|the undersigned|on the one hand)\b|\(?[ivx\d]{1,4}[).])+", re.I
)
_SUFFIX: Final = (
    r"(?:Inc|Incorporated|Corp|Corporation|Company|Co|LLC|L\.\s?L\.\s?C|Ltd|Limited|L\.\s?P|LP|LLP|PLC|plc|AG|GmbH|"
    r"S\.A|N\.V|B\.V|Bank|Partnership|Trust|University|N\.A|Pty|SE|KG|SpA|AB|ASA|Oy)"
)
_NAMED: Final = re.compile(
    rf"\b[A-Z0-9][\w&.’'!-]*(?:[ \t\n]+(?:[A-Z0-9&][\w&.’'!-]*|of|and|the|de|&)){{0,7}}?,?\s+{_SUFFIX}\b\.?"
)
_LONGEST: Final = 600


def party_introductions(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Spans in ``[start, end)`` that introduce a party with a defined name, then names by their corporate form."""
    found: list[tuple[int, int]] = []
    before = start
    for match in _ALIAS.finditer(text, start, end):
        if _NO_PARTY.search(match["alias"]):
            before = match.end()
            continue
        begin = _name_start(text, max(before, match.start() - _LONGEST), match.start())
        before = match.end()
        if begin < match.start():
            found.append((begin, match.end()))
    for match in _NAMED.finditer(text, start, end):
        if not any(b <= match.start() < e for b, e in found):
            found.append(match.span())
    return found


def _name_start(text: str, low: int, high: int) -> int:
    """Where the name before a parenthesis begins: after "between" or the like, and after joining words."""
    segment = text[low:high]
    named = _NAMED.search(segment)
    limit = named.start() if named else len(segment)
    opened = [match.end() for match in _OPENS.finditer(segment) if match.end() <= limit]
    begin = opened[-1] if opened else 0
    joined = _JOINS.match(segment[begin:])
    return low + begin + (joined.end() if joined else 0)
