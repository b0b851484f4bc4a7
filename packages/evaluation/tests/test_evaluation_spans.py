from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_evaluation.spans import (
    CONFIDENCES,
    Prediction,
    best_threshold,
    bootstrap_ci,
    curve,
    jaccard,
    match_spans,
    score_spans,
    tokens,
)
from doyen_schemas import DoyenError


def span(label: str, text: str, start: int = 0) -> Prediction:
    return Prediction(label, start, start + len(text), text, 1.0)


def guess(label: str, text: str, score: float, start: int = 0) -> Prediction:
    return Prediction(label, start, start + len(text), text, score)


# --- hand-computed ---------------------------------------------------------------------------------------


def test_tokens_follow_the_corpus_rule() -> None:
    assert tokens("The Licensor's fee; and/or: U.S. Dollars,  net") == {
        "the", "licensor's", "fee", "and", "or", "us", "dollars", "net",
    }  # fmt: skip
    assert jaccard(tokens("a b c"), tokens("b c d")) == pytest.approx(0.5)
    assert jaccard(tokens("."), tokens(",")) == 0.0


def test_half_overlap_matches_and_less_does_not() -> None:
    gold = {"c": [span("Insurance", "one two three four")]}
    at_half = match_spans(gold, {"c": [guess("Insurance", "one two", 0.9)]})
    below = match_spans(gold, {"c": [guess("Insurance", "one", 0.9)]})
    assert score_spans(at_half, 0.5).micro_f1 == 1.0
    assert score_spans(below, 0.5).micro_f1 == 0.0


def test_parties_match_by_substring_case_sensitively() -> None:
    gold = {"c": [span("Parties", "Acme Inc.")]}
    long = "This agreement is made between Acme Inc. and somebody else altogether"
    assert score_spans(match_spans(gold, {"c": [guess("Parties", long, 0.9)]}), 0.5).micro_f1 == 1.0
    upper = long.replace("Acme Inc.", "ACME INC.")
    assert score_spans(match_spans(gold, {"c": [guess("Parties", upper, 0.9)]}), 0.5).micro_f1 == 0.0
    other = match_spans(gold, {"c": [guess("Parties", long, 0.9)]}, substring_labels=())
    assert score_spans(other, 0.5).micro_f1 == 0.0


def test_counts_are_by_gold_span_and_by_wrong_prediction() -> None:
    """Two predictions on one gold span: one true positive. One on two gold spans: two. Others: false."""
    gold = {
        "c": [span("A", "x y"), span("B", "p q"), span("B", "p q", 50)],
        "d": [span("A", "k l m")],
    }
    predictions = {
        "c": [guess("A", "x y", 0.9), guess("A", "x y z", 0.8), guess("B", "p q", 0.7), guess("A", "w", 0.6)],
        "d": [guess("B", "p q", 0.95)],
    }
    scores = score_spans(match_spans(gold, predictions), 0.5)
    # tp: A in c, both B in c = 3; fn: A in d = 1; fp: "w" and B in d = 2
    assert scores.micro_precision == pytest.approx(3 / 5)
    assert scores.micro_recall == pytest.approx(3 / 4)
    assert scores.micro_f1 == pytest.approx(6 / 9)
    assert scores.per_label["A"] == (pytest.approx(2 / 4), 2, pytest.approx(1 / 2), pytest.approx(1 / 2))
    assert scores.per_label["B"] == (pytest.approx(4 / 5), 2, pytest.approx(2 / 3), 1.0)
    assert scores.macro_f1 == pytest.approx((0.5 + 0.8) / 2)
    # exact offsets: predictions at (0,3) of A and (0,3) of B in c are gold; 5 predictions, 4 gold places
    assert scores.exact_f1 == pytest.approx(2 * 2 / (5 + 4))


def test_a_prediction_is_kept_only_above_the_threshold() -> None:
    matches = match_spans({"c": [span("A", "x")]}, {"c": [guess("A", "x", 0.5)]})
    assert score_spans(matches, 0.5).micro_f1 == 0.0
    assert score_spans(matches, 0.499).micro_f1 == 1.0


def test_equal_texts_of_one_question_are_one_prediction() -> None:
    predictions = {"c": [guess("A", "no", 0.4, 10), guess("A", "no", 0.9, 90)]}
    scores = score_spans(match_spans({"c": [span("A", "x y")]}, predictions), 0.1)
    assert scores.micro_precision == 0.0
    matches = match_spans({"c": [span("A", "x y")]}, predictions)
    assert matches.false.score.tolist() == [0.9]
    assert matches.offered.score.tolist() == [0.4, 0.9]


def test_curve_aupr_and_precision_at_recall_by_hand() -> None:
    """Five gold spans; found at .95, .75, .55, .35; false at .85 and, twice, at .45."""
    golds = [span("A", f"g{i} h{i} i{i}", 100 * i) for i in range(5)]
    hits = [(0, 0.95), (1, 0.75), (2, 0.55), (3, 0.35)]
    predictions = [guess("A", golds[i].text, score, golds[i].start) for i, score in hits]
    predictions += [guess("A", f"w{i}", score) for i, score in enumerate([0.85, 0.45, 0.45])]
    matches = match_spans({"c": golds}, {"c": predictions})
    scores = score_spans(matches, 0.5)
    # raw precision by confidence: 1 | 1/2 2/3 3/4 | 3/6 4/7; raised: 1 | 3/4 3/4 3/4 | 4/7 4/7
    assert scores.p_at_80r == pytest.approx(4 / 7)
    assert scores.p_at_90r == 0.0
    assert scores.aupr == pytest.approx(0.2 * 1 + 0.4 * 3 / 4 + 0.2 * 4 / 7)
    assert scores.micro_f1 == pytest.approx(2 * 3 / (3 + 1 + 5))
    points = curve(matches)
    assert len(points.recall) == len(points.precision) == len(CONFIDENCES) + 1
    assert (points.recall[0], points.precision[0]) == (0.0, 1.0)


def test_recall_reached_only_at_confidence_zero_is_not_looked_at() -> None:
    """The original zips the curve with the confidences, which are one fewer: the last point drops out."""
    matches = match_spans({"c": [span("A", "x")]}, {"c": [guess("A", "x", 0.0005)]})
    scores = score_spans(matches, 0.0)
    assert (scores.p_at_80r, scores.aupr, scores.micro_f1) == (0.0, 1.0, 1.0)


def test_presence_auroc_skips_labels_of_one_class() -> None:
    gold = {
        "a": [span("A", "x"), span("B", "x")],
        "b": [span("A", "y"), span("B", "y")],
        "c": [span("B", "z")],
    }
    predictions = {"a": [guess("A", "x", 0.9)], "b": [guess("A", "q", 0.2)], "c": [guess("A", "q", 0.2)]}
    scores = score_spans(match_spans(gold, predictions), 0.5)
    assert scores.presence_auroc_macro == pytest.approx(0.75)  # .9 > .2 wins, .2 against .2 ties
    heads = {"a": {"A": 0.1}, "b": {"A": 0.3}, "c": {"A": 0.2}}
    assert score_spans(match_spans(gold, predictions, presence=heads), 0.5).presence_auroc_macro == 0.5
    only_b = match_spans(gold, predictions, presence_labels=["B"])
    assert score_spans(only_b, 0.5).presence_auroc_macro is None
    assert "presence_auroc_macro" not in bootstrap_ci(only_b, 0.5, draws=10)


def test_best_threshold_lies_between_scores() -> None:
    golds = [span("A", "x y"), span("A", "p q", 50)]
    predictions = [guess("A", "x y", 0.8), guess("A", "p q", 0.6, 50), guess("A", "w", 0.4)]
    matches = match_spans({"c": golds}, {"c": predictions})
    assert best_threshold(matches) == pytest.approx(0.5)
    assert score_spans(matches, best_threshold(matches)).micro_f1 == 1.0
    assert best_threshold(match_spans({"c": golds}, {})) == 0.0


def test_nothing_predicted_and_nothing_to_find() -> None:
    empty = score_spans(match_spans({"c": [span("A", "x")]}, {}), 0.5)
    assert (empty.aupr, empty.p_at_80r, empty.micro_f1, empty.exact_f1) == (0.0, 0.0, 0.0, 0.0)
    no_gold = score_spans(match_spans({"c": []}, {"c": [guess("A", "x", 0.9)]}), 0.5)
    assert (no_gold.aupr, no_gold.micro_f1, no_gold.macro_f1) == (0.0, 0.0, 0.0)
    assert bootstrap_ci(match_spans({}, {}), 0.5) == {}


@pytest.mark.parametrize(
    ("predictions", "code"),
    [
        ({"other": [guess("A", "x", 0.5)]}, "EVA-001"),
        ({"c": [guess("A", "x", 1.5)]}, "EVA-002"),
        ({"c": [guess("A", "x", math.nan)]}, "EVA-002"),
        ({"c": [guess("Z", "x", 0.5)]}, "EVA-003"),
    ],
)
def test_bad_input_is_named(predictions: dict[str, list[Prediction]], code: str) -> None:
    with pytest.raises(DoyenError) as caught:
        match_spans({"c": [span("A", "x")]}, predictions, labels=["A"])
    assert caught.value.code == code


# --- against a plain implementation ----------------------------------------------------------------------


def plain_words(text: str) -> set[str]:
    for mark in ".,;:":
        text = text.replace(mark, "")
    return set(text.lower().replace("/", " ").split())


def plain_match(label: str, answer: str, text: str) -> bool:
    a, b = plain_words(answer), plain_words(text)
    share = len(a & b) / len(a | b) if a | b else 0.0
    return share >= 0.5 or (label == "Parties" and answer in text)


def plain_counts(gold, predictions, threshold: float, only: str | None = None) -> tuple[int, int, int]:
    tp = fp = fn = 0
    labels = {s.label for items in [*gold.values(), *predictions.values()] for s in items}
    for contract in gold:
        for label in labels if only is None else [only]:
            answers = [s.text for s in gold[contract] if s.label == label]
            kept = {p.text for p in predictions.get(contract, []) if p.label == label and p.score > threshold}
            for answer in answers:
                if any(plain_match(label, answer, text) for text in kept):
                    tp += 1
                else:
                    fn += 1
            fp += sum(not any(plain_match(label, answer, text) for answer in answers) for text in kept)
    return tp, fp, fn


def plain_curve_figures(gold, predictions) -> tuple[float, float, float]:
    precisions, recalls = [1.0], [0.0]
    for threshold in [*np.arange(0.99, 0, -0.01), 0.001, 0]:
        tp, fp, fn = plain_counts(gold, predictions, threshold)
        precisions.append(tp / (tp + fp) if tp + fp else math.nan)
        recalls.append(tp / (tp + fn) if tp + fn else math.nan)
    if math.isnan(precisions[-1]) or math.isnan(recalls[-1]):
        return 0.0, 0.0, 0.0
    for i in range(len(precisions) - 2, -1, -1):
        precisions[i] = max(precisions[i + 1], precisions[i])
    area = sum(
        (recalls[i + 1] - recalls[i]) * (precisions[i + 1] + precisions[i]) / 2
        for i in range(len(recalls) - 1)
    )
    at = [
        next((p for p, r in zip(precisions[:-1], recalls[:-1], strict=True) if r >= wanted), 0.0)
        for wanted in (0.8, 0.9)
    ]
    return area, at[0], at[1]


words = st.lists(st.sampled_from(["a", "B", "c.", "d/e", "f;", "Acme, Inc."]), min_size=1, max_size=4).map(
    " ".join
)
label_names = st.sampled_from(["Parties", "Insurance", "Audit Rights"])
gold_spans = st.builds(span, label_names, words, st.integers(0, 3))
guesses = st.builds(
    guess,
    label_names,
    words,
    st.sampled_from([0.0, 0.0005, 0.01, 0.25, 0.3, 0.5, 0.9, 1.0]),
    st.integers(0, 3),
)


@st.composite
def corpora(draw):
    contracts = [f"c{i}" for i in range(draw(st.integers(1, 4)))]
    gold = {c: draw(st.lists(gold_spans, max_size=4)) for c in contracts}
    predictions = {}
    for contract in contracts:
        # One score a text: with several, the original keeps whichever comes last.
        items = {(p.label, p.text): p for p in draw(st.lists(guesses, max_size=6))}
        predictions[contract] = list(items.values())
    return gold, predictions


@settings(max_examples=150, deadline=None)
@given(corpora(), st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.9]))
def test_equals_the_plain_implementation(corpus, threshold: float) -> None:
    gold, predictions = corpus
    matches = match_spans(gold, predictions)
    scores = score_spans(matches, threshold)
    assert (scores.aupr, scores.p_at_80r, scores.p_at_90r) == pytest.approx(
        plain_curve_figures(gold, predictions)
    )
    tp, fp, fn = plain_counts(gold, predictions, threshold)
    assert scores.micro_f1 == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
    for label, score in scores.per_label.items():
        tp, fp, fn = plain_counts(gold, predictions, threshold, label)
        assert score.n == tp + fn
        assert score.f1 == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)


@settings(max_examples=60, deadline=None)
@given(corpora())
def test_no_threshold_beats_the_best(corpus) -> None:
    gold, predictions = corpus
    matches = match_spans(gold, predictions)
    best = score_spans(matches, best_threshold(matches)).micro_f1
    tried = [score_spans(matches, t).micro_f1 for t in (0.0, 0.0002, 0.005, 0.1, 0.27, 0.4, 0.7, 0.95)]
    assert best >= max(tried) - 1e-12


def random_corpus(contracts: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = [f"L{i}" for i in range(41)]
    gold, predictions = {}, {}
    for c in range(contracts):
        name = f"c{c}"
        gold[name], predictions[name] = [], []
        for label in labels:
            if rng.random() < 0.4:
                text = " ".join(f"{label}w{i}" for i in range(30))
                gold[name].append(span(label, text))
                if rng.random() < 0.9:
                    predictions[name].append(guess(label, text[:-2], float(rng.beta(4, 2))))
            predictions[name] += [
                guess(label, f"noise {k} of {label}", float(rng.beta(1, 4)), k) for k in range(6)
            ]
    return gold, predictions


def test_bootstrap_equals_scoring_the_drawn_contracts() -> None:
    """The interval of a draw is the score of a corpus in which each contract occurs as often as drawn."""
    gold, predictions = random_corpus(5, seed=3)
    matches = match_spans(gold, predictions)
    weights = np.random.default_rng(7).multinomial(5, np.full(5, 0.2), size=1)[0]
    drawn_gold = {f"{c}-{k}": gold[c] for c, n in zip(gold, weights, strict=True) for k in range(n)}
    drawn_predictions = {
        f"{c}-{k}": predictions[c] for c, n in zip(gold, weights, strict=True) for k in range(n)
    }
    expected = score_spans(match_spans(drawn_gold, drawn_predictions), 0.5)
    interval = bootstrap_ci(matches, 0.5, draws=1, seed=7)
    for name, (low, high) in interval.items():
        assert low == high == pytest.approx(getattr(expected, name)), name


def test_a_thousand_draws_take_seconds() -> None:
    gold, predictions = random_corpus(102)
    matches = match_spans(gold, predictions)
    started = time.process_time()
    interval = bootstrap_ci(matches, 0.5)
    assert time.process_time() - started < 5
    scores = score_spans(matches, 0.5)
    for name in ("aupr", "p_at_80r", "micro_f1", "macro_f1", "presence_auroc_macro"):
        low, high = interval[name]
        assert low < getattr(scores, name) < high, name
    assert interval == bootstrap_ci(matches, 0.5)
