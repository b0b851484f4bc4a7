"""The finding that would tell the candidates apart best: expected information gain over the first of them.

Shape legend: T findings, N candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from doyen_medical.rank.features import Scorer

CANDIDATES: Final = 10
_LEAST_CONTENT: Final = 2.0
_LEAST_GAIN: Final = 0.005


@dataclass(frozen=True, slots=True)
class Question:
    """A finding to look for: expected gain in bits, and the candidates that it speaks for and against if present."""

    term: int
    gain_bits: float
    raises: tuple[int, ...]
    lowers: tuple[int, ...]


def next_questions(
    scorer: Scorer, columns: Sequence[int], chances: Sequence[float], asked: Sequence[int], most: int = 5
) -> list[Question]:
    """The best findings, none above or below one that was asked, or that stands before it in the list."""
    lib = scorer.library
    at = list(columns[:CANDIDATES])
    p_N = np.asarray(chances[: len(at)], np.float64)
    if len(at) < 2 or p_N.sum() <= 0:
        return []
    p_N = p_N / p_N.sum()
    share_TN = scorer.share_of(at)
    told = np.zeros(share_TN.shape[0], bool)
    for term in asked:
        told |= _near(scorer, term)
    open_T = np.flatnonzero((share_TN.max(1) > 0) & ~told & (lib.content_T >= _LEAST_CONTENT))
    if not len(open_T):
        return []
    yes_TN = np.clip(np.maximum(share_TN[open_T], lib.background_T[open_T, None]), 0.005, 0.98)
    gain_T = _entropy(p_N) - _expected(p_N, yes_TN)
    chosen: list[Question] = []
    blocked = np.zeros(share_TN.shape[0], bool)
    for place in np.argsort(-gain_T, kind="stable"):
        term = int(open_T[place])
        if gain_T[place] < _LEAST_GAIN or len(chosen) == most:
            break
        if blocked[term]:
            continue
        blocked |= _near(scorer, term)
        after = p_N * yes_TN[place] / (p_N @ yes_TN[place])
        chosen.append(
            Question(
                term, round(float(gain_T[place]), 4),
                tuple(column for column, a, b in zip(at, after, p_N, strict=True) if a > b * 1.25),
                tuple(column for column, a, b in zip(at, after, p_N, strict=True) if a < b * 0.8),
            )
        )  # fmt: skip
    return chosen


def _expected(p_N: NDArray[np.float64], yes_TN: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy of the candidates in bits after the answer, (T,)."""
    total = np.zeros(len(yes_TN))
    for answer_TN in (yes_TN, 1 - yes_TN):
        joint_TN = p_N * answer_TN
        chance_T = joint_TN.sum(1)
        total += chance_T * _entropy(joint_TN / chance_T[:, None])
    return total


def _entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-(p * np.log2(np.maximum(p, 1e-12))).sum(-1))


def _near(scorer: Scorer, term: int) -> NDArray[np.bool_]:
    """The finding with its ancestors and what lies below it."""
    lib = scorer.library
    found = np.zeros(lib.ancestors.shape[0], bool)
    found[lib.ancestors[term].indices] = True
    found[scorer.below(term)] = True
    return found
