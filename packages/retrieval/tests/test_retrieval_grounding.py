"""The citation check: what is invented, dropped, or said otherwise does not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_retrieval.grounding import Sentence, check, supported
from doyen_retrieval.index import Passage
from doyen_retrieval.words import content_words, words

PASSAGE = Passage("a", "Seizures occur in 3 of 10 patients with Dravet syndrome; hearing is normal.", "", "")
OTHER = Passage("b", "Ataxia is not a feature.", "", "")
FOUND = {"a": PASSAGE, "b": OTHER}


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        (Sentence("Seizure in 3 of 10 patients.", ("a",)), None),
        (Sentence("Seizure in 3 of 10 patients; ataxia is not a feature.", ("a", "b")), None),
        (Sentence("Seizures occur.", ("a",), terms=("Dravet syndrome",)), None),
        (Sentence("Seizures occur.", ()), "uncited"),
        (Sentence("Seizures occur.", ("z",)), "not-retrieved"),
        (Sentence("Seizures occur.", ("a", "z")), "not-retrieved"),
        (Sentence("Seizures occur in 4 of 10 patients.", ("a",)), "unsupported"),
        (Sentence("Seizures do not occur in patients.", ("a",)), "unsupported"),
        (Sentence("Seizures and cardiomyopathy occur.", ("a",)), "unsupported"),
        (Sentence("Seizures occur.", ("a",), terms=("syndrome Dravet",)), "unsupported"),
        (Sentence("Seizures occur.", ("a",), terms=("",)), "unsupported"),
        (Sentence("It is.", ("a",)), "unsupported"),
    ],
)
def test_a_sentence_stays_or_falls_with_its_reason(sentence: Sentence, reason: str | None) -> None:
    result = check([sentence], FOUND)
    assert [r for _, r in result.dropped] == ([reason] if reason else [])
    assert len(result.kept) == (reason is None)


def test_what_is_dropped_is_counted() -> None:
    sentences = [
        Sentence("Seizures.", ("a",)),
        Sentence("Seizures.", ("z",)),
        Sentence("Cough.", ("a",)),
        Sentence("x", ()),
    ]
    assert check(sentences, FOUND).counts == {"kept": 1, "uncited": 1, "not-retrieved": 1, "unsupported": 1}


@given(st.text(max_size=120))
def test_a_passage_supports_itself(text: str) -> None:
    assert supported(Sentence(text, ("x",)), [Passage("x", text, "", "")]) == bool(content_words(text))


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_sentence_with_a_foreign_number_is_supported(text: str, passage: str) -> None:
    assert not supported(Sentence(f"{text} 987654321", ("x",)), [Passage("x", passage, "", "")])


def test_words_are_compared_without_case_and_plural() -> None:
    assert words("Seizures, biopsies; stress, virus, analysis: Ｆｅｖｅｒ 发热 1,5") == [
        "seizure", "biopsy", "stress", "virus", "analysis", "fever", "发", "热", "1,5",
    ]  # fmt: skip
    assert content_words("It is not the same") == ["not", "same"]
