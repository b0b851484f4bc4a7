"""Classification figures: accuracy, F1, AUROC and calibration, with intervals by group.

Labels are integers ``0 … K-1``; probabilities are rows that sum to one. scikit-learn computes what it has; the
expected calibration error is that of Guo et al. 2017 (arXiv:1706.04599), the Brier score the multi-class one of
Brier 1950 (0 best, 2 worst).

Shape legend: N items, K classes, B bins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doyen_evaluation.resample import index_ci
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ReliabilityBin(NamedTuple):
    """Items whose confidence lies in ``(low, high]``: their number, mean confidence and accuracy (NaN if none)."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """``macro_f1`` averages over all K classes. What needs probabilities is None without them.

    ``auroc_macro`` is one class against the rest, averaged over classes that have both; None when none has.
    """

    n: int
    accuracy: float
    macro_f1: float
    per_class_f1: dict[str, float]
    auroc_macro: float | None
    ece: float | None
    brier: float | None


def classification_scores(
    truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str], probabilities: ArrayLike | None = None
) -> ClassificationScores:
    """All figures of one evaluation.

    Args:
        truth: class numbers, (N,).
        predicted: class numbers, (N,).
        classes: class names, K of them.
        probabilities: (N, K), rows summing to one.

    Raises EVA-004 (shapes or class numbers do not fit) and EVA-005 (rows that are no distributions).
    """
    truth_N, predicted_N, p_NK = _checked(truth, predicted, classes, probabilities)
    f1_K = _f1_by_class(truth_N, predicted_N, len(classes))
    return ClassificationScores(
        n=int(truth_N.size),
        accuracy=float((truth_N == predicted_N).mean()),
        macro_f1=float(f1_K.mean()),
        per_class_f1={name: float(f1) for name, f1 in zip(classes, f1_K, strict=True)},
        auroc_macro=None if p_NK is None else _auroc_macro(truth_N, p_NK),
        ece=None if p_NK is None else expected_calibration_error(truth_N, p_NK),
        brier=None if p_NK is None else brier_score(truth_N, p_NK),
    )


def classification_ci(
    truth: ArrayLike,
    predicted: ArrayLike,
    classes: Sequence[str],
    probabilities: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """95 % intervals of the figures from draws of whole groups (documents); every item is one group by default."""
    truth_N, predicted_N, p_NK = _checked(truth, predicted, classes, probabilities)
    group_N = (
        np.arange(truth_N.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    )
    if group_N.shape != truth_N.shape:
        raise DoyenError(
            "EVA-004", f"{group_N.size} groups for {truth_N.size} items.", "Give one group an item."
        )
    count = len(classes)
    figures: dict[str, Callable[[Ints], float]] = {
        "accuracy": lambda at: float((truth_N[at] == predicted_N[at]).mean()),
        "macro_f1": lambda at: float(_f1_by_class(truth_N[at], predicted_N[at], count).mean()),
    }
    for index, name in enumerate(classes):
        figures[f"f1 {name}"] = lambda at, k=index: float(
            _f1_by_class(truth_N[at], predicted_N[at], count)[k]
        )  # type: ignore[misc]
    if p_NK is not None:
        figures["auroc_macro"] = lambda at: _or_nan(_auroc_macro(truth_N[at], p_NK[at]))
        figures["ece"] = lambda at: expected_calibration_error(truth_N[at], p_NK[at])
        figures["brier"] = lambda at: brier_score(truth_N[at], p_NK[at])
    intervals = {name: index_ci(group_N, figure, draws=draws, seed=seed) for name, figure in figures.items()}
    return {name: bounds for name, bounds in intervals.items() if bounds is not None}


def reliability(truth: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> list[ReliabilityBin]:
    """The accuracy of the top class by its confidence, in bins of equal width: a reliability diagram's data."""
    truth_N, p_NK = np.asarray(truth, np.int64), np.asarray(probabilities, np.float64)
    confidence_N, right_N = p_NK.max(axis=1), p_NK.argmax(axis=1) == truth_N
    edges = np.linspace(0, 1, bins + 1)
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for b in range(bins):
        inside = bin_N == b
        count = int(inside.sum())
        found.append(
            ReliabilityBin(
                float(edges[b]), float(edges[b + 1]), count,
                float(confidence_N[inside].mean()) if count else float("nan"),
                float(right_N[inside].mean()) if count else float("nan"),
            )
        )  # fmt: skip
    return found


def expected_calibration_error(truth: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy of the top class, weighted by the items of each bin."""
    filled = [b for b in reliability(truth, probabilities, bins) if b.n]
    total = sum(b.n for b in filled)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in filled) / total


def brier_score(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance between the probabilities and the true class's unit vector, in [0, 2]."""
    truth_N, p_NK = np.asarray(truth, np.int64), np.asarray(probabilities, np.float64)
    return float(((p_NK - np.eye(p_NK.shape[1])[truth_N]) ** 2).sum(axis=1).mean())


def _checked(
    truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str], probabilities: ArrayLike | None
) -> tuple[Ints, Ints, Floats | None]:
    truth_N, predicted_N = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    count = len(classes)
    hint = f"Class numbers are 0 to {count - 1}, one an item."
    if truth_N.ndim != 1 or truth_N.shape != predicted_N.shape or truth_N.size == 0:
        raise DoyenError(
            "EVA-004", f"truth has shape {truth_N.shape}, predictions {predicted_N.shape}.", hint
        )
    outside = [int(v) for v in np.concatenate([truth_N, predicted_N]) if not 0 <= v < count]
    if outside:
        raise DoyenError("EVA-004", f"class number {outside[0]} for {count} classes.", hint)
    if probabilities is None:
        return truth_N, predicted_N, None
    p_NK = np.asarray(probabilities, np.float64)
    if p_NK.shape != (truth_N.size, count):
        raise DoyenError(
            "EVA-004",
            f"probabilities have shape {p_NK.shape}, not {(truth_N.size, count)}.",
            "Give one row an item.",
        )
    sums = p_NK.sum(axis=1)
    wrong = ~(np.isclose(sums, 1, atol=1e-3) & (p_NK >= 0).all(axis=1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DoyenError(
            "EVA-005", f"row {row} of the probabilities sums to {sums[row]:.4g} or has a negative entry.",
            "Give probabilities, not logits.",
        )  # fmt: skip
    return truth_N, predicted_N, p_NK


def _f1_by_class(truth_N: Ints, predicted_N: Ints, count: int) -> Floats:
    # By counts: a bootstrap calls this thousands of times, where sklearn's checks would dominate.
    right = np.bincount(truth_N[truth_N == predicted_N], minlength=count)
    both = np.bincount(truth_N, minlength=count) + np.bincount(predicted_N, minlength=count)
    f1_K: Floats = np.divide(2 * right, both, out=np.zeros(count), where=both > 0)
    return f1_K


def _auroc_macro(truth_N: Ints, p_NK: Floats) -> float | None:
    from sklearn.metrics import roc_auc_score

    values = [
        roc_auc_score(truth_N == k, p_NK[:, k])
        for k in range(p_NK.shape[1])
        if 0 < (truth_N == k).sum() < truth_N.size
    ]
    return float(np.mean(values)) if values else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
