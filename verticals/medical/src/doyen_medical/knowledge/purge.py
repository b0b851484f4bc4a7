"""Which papers no figure may rest on: the development and test part of the published cases.

HPOA was curated from the same papers as the cases: it cites a case's own paper for the same disease in 47 of 100
cases. A ranking measured with those rows measures the citation.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_PMID: Final = re.compile(r"PMID:\s*(\d+)", re.I)
BUCKETS: Final = 20
FIRST_HELD_OUT: Final = 12


def papers_of(reference: str) -> frozenset[str]:
    """The papers that a reference mentions, as ``PMID:123``; references pool several."""
    return frozenset(f"PMID:{number}" for number in _PMID.findall(reference))


def paper_id(text: str) -> str:
    """``PMID:123`` of a PMID with or without its prefix; another name as it is."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return f"PMID:{text}"
    match = _PMID.fullmatch(text)
    return f"PMID:{match[1]}" if match else text


def bucket(paper: str) -> int:
    """The bucket in 0 … 19 of a paper (``PMID:123``): 0-11 train, 12-14 development, 15-19 test."""
    return int(hashlib.sha256(paper.encode()).hexdigest(), 16) % BUCKETS


def held_out(paper: str) -> bool:
    """Whether the paper belongs to the development or test part."""
    return bucket(paper) >= FIRST_HELD_OUT
