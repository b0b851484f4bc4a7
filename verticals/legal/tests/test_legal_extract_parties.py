"""Parties as preambles introduce them."""

from __future__ import annotations

import pytest

from doyen_legal.extract.parties import party_introductions


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        (
            'This Agreement is between Acme, Inc., a Delaware corporation ("Acme"), and Beta LLC ("Buyer").',
            ['Acme, Inc., a Delaware corporation ("Acme")', 'Beta LLC ("Buyer")'],
        ),
        (
            "by and between: (i) Gamma Ltd., having its seat in Leeds (hereinafter “Gamma”); and (ii) John Doe (the “Agent”)",
            ["Gamma Ltd., having its seat in Leeds (hereinafter “Gamma”)", "John Doe (the “Agent”)"],
        ),
        (
            'dated May 8, 2014 (the "Effective Date") between Acme Corp. and Beta N.V.',
            ["Acme Corp.", "Beta N.V."],
        ),
        ("Goods are delivered on time.", []),
    ],
)
def test_introductions(text: str, quotes: list[str]) -> None:
    assert [text[start:end] for start, end in party_introductions(text, 0, len(text))] == quotes
