from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from doyen_evaluation.classification import (
    brier_score,
    classification_ci,
    classification_scores,
    expected_calibration_error,
    reliability,
)
from doyen_evaluation.resample import index_ci, ratio_ci
from doyen_schemas import DoyenError

CLASSES = ("entailment", "contradiction", "not mentioned")


def test_figures_by_hand() -> None:
    scores = classification_scores([0, 0, 1, 1, 2], [0, 1, 1, 1, 0], CLASSES)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.per_class_f1 == {
        "entailment": pytest.approx(1 / 2), "contradiction": pytest.approx(4 / 5), "not mentioned": 0.0,
    }  # fmt: skip
    assert scores.macro_f1 == pytest.approx((1 / 2 + 4 / 5) / 3)
    assert (scores.auroc_macro, scores.ece, scores.brier) == (None, None, None)


def test_calibration_by_hand() -> None:
    """Four items at confidence .8, three of them right; two at .6, none right: gaps .05 and .6."""
    p = [[0.8, 0.2]] * 4 + [[0.4, 0.6]] * 2
    truth = [0, 0, 0, 1, 0, 0]
    assert expected_calibration_error(truth, p) == pytest.approx((4 * 0.05 + 2 * 0.6) / 6)
    assert brier_score(truth, p) == pytest.approx((3 * 0.08 + 1.28 + 2 * 0.72) / 6)
    filled = [b for b in reliability(truth, p, bins=10) if b.n]
    assert [(b.n, round(b.low, 1), round(b.confidence, 1), b.accuracy) for b in filled] == [
        (2, 0.5, 0.6, 0.0), (4, 0.7, 0.8, 0.75),
    ]  # fmt: skip
    assert math.isnan(reliability(truth, p, bins=10)[0].accuracy)


def test_auroc_averages_over_classes_with_both_outcomes() -> None:
    p = [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]]
    scores = classification_scores([0, 1, 0, 1], [0, 1, 0, 1], CLASSES, p)
    assert scores.auroc_macro == 1.0
    assert classification_scores([0, 0], [0, 0], CLASSES, [[1, 0, 0]] * 2).auroc_macro is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    scores = classification_scores(truth, predicted, CLASSES)
    assert scores.accuracy == pytest.approx(accuracy_score(truth, predicted))
    expected = f1_score(truth, predicted, labels=[0, 1, 2], average=None, zero_division=0)
    assert list(scores.per_class_f1.values()) == pytest.approx(list(expected))


def test_intervals_widen_when_items_of_a_group_agree() -> None:
    """Ten documents of twenty equal items each: by item the interval would be far too narrow."""
    rng = np.random.default_rng(1)
    truth = np.zeros(200, int)
    predicted = np.repeat(rng.random(10) < 0.4, 20).astype(int)
    groups = np.repeat(np.arange(10), 20)
    by_item = classification_ci(truth, predicted, CLASSES, draws=300)["accuracy"]
    by_group = classification_ci(truth, predicted, CLASSES, groups=groups, draws=300)["accuracy"]
    assert by_group[1] - by_group[0] > 3 * (by_item[1] - by_item[0])


def test_intervals_hold_the_figures_and_repeat() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet([1, 1, 1], size=120)
    truth = np.array([rng.choice(3, p=row) for row in p])
    predicted = p.argmax(axis=1)
    scores = classification_scores(truth, predicted, CLASSES, p)
    ci = classification_ci(truth, predicted, CLASSES, p, draws=200)
    assert ci == classification_ci(truth, predicted, CLASSES, p, draws=200)
    assert set(ci) == {"accuracy", "macro_f1", *(f"f1 {c}" for c in CLASSES), "auroc_macro", "ece", "brier"}
    for name in ("accuracy", "macro_f1", "auroc_macro", "brier"):
        assert ci[name][0] < getattr(scores, name) < ci[name][1]


def test_ratio_and_index_intervals_agree() -> None:
    parts, wholes = np.array([3.0, 1.0, 4.0, 0.0]), np.array([4.0, 2.0, 5.0, 3.0])
    low, high = ratio_ci(parts, wholes, draws=4000) or (0, 0)
    items = np.repeat([1, 0, 1, 0, 1, 0, 0], [3, 1, 1, 1, 4, 1, 3])
    groups = np.repeat(np.arange(4), [4, 2, 5, 3])
    other = index_ci(groups, lambda at: float(items[at].mean()), draws=4000)
    assert other == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))
    assert ratio_ci(np.zeros(0), np.zeros(0)) is None
    assert ratio_ci(np.zeros(2), np.zeros(2)) is None
    assert index_ci(np.zeros(0, np.int64), lambda at: 0.0) is None


@pytest.mark.parametrize(
    ("truth", "predicted", "probabilities", "code"),
    [
        ([0, 1], [0], None, "EVA-004"),
        ([0, 3], [0, 1], None, "EVA-004"),
        ([], [], None, "EVA-004"),
        ([0], [0], [[1.0, 0.0]], "EVA-004"),
        ([0], [0], [[2.0, -1.0, 0.0]], "EVA-005"),
        ([0], [0], [[0.5, 0.1, 0.1]], "EVA-005"),
    ],
)
def test_bad_input_is_named(truth, predicted, probabilities, code: str) -> None:
    with pytest.raises(DoyenError) as caught:
        classification_scores(truth, predicted, CLASSES, probabilities)
    assert caught.value.code == code


def test_groups_must_fit() -> None:
    with pytest.raises(DoyenError, match="1 groups for 2 items"):
        classification_ci([0, 1], [0, 1], CLASSES, groups=[0])
