"""Sentences and chunks: offsets that hold for any text, limits, abbreviations."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_retrieval.chunks import chunks, sentences

TEXTS = st.text(alphabet=st.sampled_from("ab Z9.!?\n(\"')。é"), max_size=200)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ("As Fig. 2 shows, e.g. A. Smith et al. Found it. Next.", ["As Fig. 2 shows, e.g. A. Smith et al. Found it.", "Next."]),
        ("Rose by 1.5 mm (p = 0.03). It fell.", ["Rose by 1.5 mm (p = 0.03).", "It fell."]),
        ("Head\n\nBody without stop", ["Head", "Body without stop"]),
        ("患者发热。无咳嗽。", ["患者发热。", "无咳嗽。"]),
        ("", []),
        (" \n ", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in sentences(text)] == expected


@given(TEXTS)
def test_sentences_are_their_spans_in_order_and_lose_nothing(text: str) -> None:
    found = sentences(text)
    assert all(text[s.start : s.end] == s.text == s.text.strip() and s.text for s in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert "".join("".join(s.text.split()) for s in found) == "".join(text.split())


@given(TEXTS, st.integers(1, 40))
def test_chunks_are_their_spans_within_the_limit_and_lose_nothing(text: str, most: int) -> None:
    found = chunks(text, most)
    assert all(text[c.start : c.end] == c.text and 0 < len(c.text) <= most for c in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert "".join("".join(c.text.split()) for c in found) == "".join(text.split())


def test_a_chunk_holds_as_many_whole_sentences_as_fit() -> None:
    assert [chunk.text for chunk in chunks("One two. Three four. Five.", 21)] == [
        "One two. Three four.",
        "Five.",
    ]
