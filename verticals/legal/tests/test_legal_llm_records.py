from __future__ import annotations

from collections import Counter

import pytest

from doyen_legal.corpora import Contract, GoldSpan
from doyen_legal.labels import LABELS
from doyen_legal.llm.measure import sample_questions
from doyen_legal.llm.prompt import NONE, cut_window
from doyen_legal.llm.questions import QUESTIONS
from doyen_legal.llm.records import Retriever, Sizes, answer_in, build_records


def contract(number: int) -> Contract:
    """A contract with one clause a label, each worded like its question, and filler between them."""
    text, spans = "", []
    for index, label in enumerate(LABELS):
        clause = (
            f"Clause {index} of contract {number} provides for {QUESTIONS[label]} in the words of {label}."
        )
        text += f"The parties met and talked at length about matter {index} without any result. " * 12
        spans.append(GoldSpan(label, len(text), len(text) + len(clause), clause))
        text += clause + "\n"
    return Contract(f"c{number}", text, tuple(spans))


CONTRACTS = [contract(number) for number in range(6)]


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    return Retriever.fit(CONTRACTS)


def test_the_answer_is_quotes_none_or_unknown_at_the_edge() -> None:
    whole = CONTRACTS[0]
    span = next(s for s in whole.spans if s.label == "Insurance")
    window = cut_window(whole.text, span.start - 100, span.end + 100)
    assert answer_in(whole, window, "Insurance") == span.text
    assert answer_in(whole, window, "Parties") == NONE
    assert answer_in(whole, cut_window(whole.text, span.start + 20, span.end + 100), "Insurance") is None


def test_records_are_true_balanced_and_reproducible(retriever: Retriever) -> None:
    sizes = Sizes(per_label=5, lookalikes=2)
    records = build_records(CONTRACTS, retriever, seed=3, sizes=sizes)
    assert records == build_records(CONTRACTS, retriever, seed=3, sizes=sizes)
    assert records != build_records(CONTRACTS, retriever, seed=4, sizes=sizes)
    texts = {c.id: " ".join(c.text.split()) for c in CONTRACTS}
    spans = {(c.id, s.label): s.text for c in CONTRACTS for s in c.spans}
    none, answered = Counter[str](), Counter[str]()
    for record in records:
        turns = record.messages[2:]
        assert 1 <= len(turns) // 2 <= sizes.questions
        excerpt = record.messages[1].content.split("\n")[1]
        assert excerpt in texts[record.group]
        for asked, said in zip(turns[::2], turns[1::2], strict=True):
            label = asked.content.split(":")[0]
            gold = spans[record.group, label]
            assert (said.content == gold) if gold in excerpt else (said.content == NONE)
            (answered if said.content != NONE else none)[label] += 1
    assert 0.3 <= none.total() / (none.total() + answered.total()) <= 0.42
    assert set(answered) == set(LABELS)
    assert len(none) >= 38  # nearly every label is NONE somewhere


def test_the_retriever_ranks_a_clause_under_its_own_label(retriever: Retriever) -> None:
    unseen = contract(99)
    spans = [s for s in unseen.spans if s.label in ("Insurance", "Governing Law", "Audit Rights")]
    scores = retriever.scores([cut_window(unseen.text, s.start, s.end) for s in spans])
    assert [LABELS[i] for i in scores.argmax(axis=1)] == [s.label for s in spans]


def test_sampled_questions_are_even_over_labels_and_their_gold_lies_in_the_window(
    retriever: Retriever,
) -> None:
    questions = sample_questions(CONTRACTS, retriever, count=205, seed=1)
    assert questions == sample_questions(CONTRACTS, retriever, count=205, seed=1)
    assert Counter(q.label for q in questions) == dict.fromkeys(LABELS, 5)
    assert sum(bool(q.gold) for q in questions) == 3 * len(LABELS)
    for q in questions:
        assert all(q.window.offsets[0] <= s.start and s.end <= q.window.offsets[-1] + 1 for s in q.gold)
