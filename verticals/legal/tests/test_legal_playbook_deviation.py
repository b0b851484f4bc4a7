"""The word diff between a clause and the standard."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_legal.playbook import compare

WORDS = st.lists(
    st.sampled_from(["the", "Buyer", "shall", "pay", "(30)", "days", "“net”", ",", "\n"]), max_size=30
)


def test_equal_texts_have_no_changes() -> None:
    result = compare("The Buyer shall pay.", "The Buyer shall pay.")
    assert result.ops == [("equal", "The Buyer shall pay.")]
    assert (result.similarity, result.deleted, result.inserted) == (1.0, 0, 0)


def test_quotes_and_white_space_are_no_changes() -> None:
    result = compare("“Net”  means\nnet.", '"Net" means net.')
    assert result.ops == [("equal", "“Net”  means\nnet.")]


def test_one_word_is_replaced() -> None:
    clause = "The Buyer shall pay each invoice within sixty days after it was received."
    result = compare(clause, clause.replace("sixty", "thirty"))
    assert result.ops == [
        ("equal", "The Buyer shall pay each invoice within "),
        ("delete", "sixty"),
        ("insert", "thirty"),
        ("equal", " days after it was received."),
    ]
    assert (result.deleted, result.inserted) == (1, 1)


def test_a_lone_word_between_changes_joins_them() -> None:
    result = compare(
        "The Seller delivers all goods ordered promptly and the Buyer pays the price.",
        "The Seller delivers some goods requested promptly and the Buyer pays the price.",
    )
    assert ("delete", "all goods ordered") in result.ops
    assert ("insert", "some goods requested") in result.ops


def test_unrelated_texts_are_replaced_whole() -> None:
    result = compare("Bees dance to tell the way.", "Liability is limited to the fees.")
    assert [op for op, _ in result.ops] == ["delete", "insert"]


def test_empty_texts() -> None:
    assert compare("", "").ops == []
    assert compare("", "Word.").ops == [("insert", "Word.")]


@settings(deadline=None)  # a shared machine is slow at times
@given(WORDS, WORDS)
def test_both_texts_can_be_read_back(a: list[str], b: list[str]) -> None:
    clause, standard = " ".join(a), " ".join(b)
    result = compare(clause, standard)
    assert "".join(text for op, text in result.ops if op != "insert") == clause
    rebuilt = "".join(text for op, text in result.ops if op != "delete")
    assert rebuilt.split() == standard.split()
    assert 0 <= result.similarity <= 1
