"""The checker on text that no lawyer wrote: it neither fails nor hangs, and reports places inside the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doyen_documents import from_text
from doyen_legal.consistency import KINDS, check

_FRAGMENTS = st.sampled_from(
    [
        "Section 99999999999999999999.1(z)", "Sections 4, 7 and IIIIIII", "§§ 1-2", "Article XLIXLIX", "Exhibit ZZ-99",
        "\n1.\n2.\n2.1.1.1.1", '(the "Term")', '"Term" means', '((("', '")))', "“Ünïcode” means ”", '""""', "''Term''",
        "thirty (60) days", "one hundred thousand million billion (7)", "$1,2,3.4.5", "€ 10.000,00", "(999999999999999999)",
        "February 31, 2010", "0000-00-00", "from January 1, 9999 to January 1, 0001", "for 99999999 years from May 1, 2010",
        "governed by the laws of the State of", "liability shall not exceed", "Acme Foods, Inc.", "ACME FODS, LLC",
        "the Approved Product", "IN WITNESS WHEREOF", "EXHIBIT A\n", "AMENDMENT NO. 1", "in twelve monthly payments over",
        "\x00", "\u202e", "\ud7ff", "İ", "ß", "\U0001f4dc", "\t", "\f", "\r\n", " " * 60,
    ]
)  # fmt: skip
_TEXTS = st.lists(st.one_of(_FRAGMENTS, st.text(max_size=12)), max_size=40).map(" ".join)


def _checked(text: str) -> None:
    for fault in check(from_text(text, name="hostile")):
        assert fault.kind in KINDS
        assert fault.message
        for start, end in [(fault.start, fault.end), *fault.related]:
            assert 0 <= start < end <= len(text)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TEXTS)
def test_any_text_is_checked_and_every_place_lies_inside_it(text: str) -> None:
    if text.strip():
        _checked(text)


_LONG = {
    "quotes": '"',
    "nested brackets": '("',
    "open brackets": "(",
    "numbers": "1.1.1 ",
    "section references": "Section 1.1(a), 2.2(b) and ",
    "number words": "one hundred ",
    "capitals": "Approved Product ",
    "one letter": "A",
    "blanks": "a" + " " * 97,
    "line breaks": "\n",
    "definitions": '"Term" means any Term (the "Term"). ',
    "companies": "Acme Foods, Inc. and Acme Fodos, LLC, ",
    "liabilities": "the total liability of either party for any and all damages ",
    "dates": "from May 1, 2010 until May 1, 2009 ",
    "laws": "governed by the laws of ",
    "exhibits": "EXHIBIT A ",
}


@pytest.mark.slow
@pytest.mark.parametrize("piece", _LONG.values(), ids=_LONG.keys())
def test_two_hundred_thousand_characters_of_one_kind_end_in_time(piece: str) -> None:
    text = (piece * (200_000 // len(piece) + 1))[:200_000]
    started = time.process_time()
    _checked(text)
    assert time.process_time() - started < 20


@pytest.mark.parametrize("piece", _LONG.values(), ids=_LONG.keys())
def test_ten_thousand_characters_of_one_kind_end_soon(piece: str) -> None:
    started = time.process_time()
    _checked((piece * (10_000 // len(piece) + 1))[:10_000])
    assert time.process_time() - started < 3


@pytest.mark.parametrize("names", [", ".join(f"A{i} Inc." for i in range(60)), " U.S.," * 60, " Inc." * 60])
def test_full_stops_of_abbreviations_are_read_one_way(names: str) -> None:
    """Two readings of each dot would take 2^60 steps."""
    started = time.perf_counter()
    _checked(f"SUPPLY AGREEMENT\n\n1. Liability. The liability of {names} and so on.")
    assert time.perf_counter() - started < 2
