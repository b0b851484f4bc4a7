"""Fitting the scorer on dev contracts, with honest figures from cross-validation by contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from doyen_evaluation.spans import IOU_THRESHOLD, best_threshold, jaccard, tokens
from doyen_legal.corpora import Contract
from doyen_legal.evaluate.cuad import CuadRun, score_extractions
from doyen_legal.extract.decide import Candidate, Scorer, candidates, fit_part, presence_features
from doyen_legal.extract.scores import TextScores
from doyen_legal.extract.types import Extraction
from doyen_legal.labels import ENTITY_LABELS, LABELS

FOLDS: Final = 5
# Strength of the logistic regressions (inverse penalty): 0.1, 0.3, 1 and 3 differ by less than their intervals.
STRENGTH: Final = 0.3

# part -> rows of (contract, label, features, right or wrong)
Rows = dict[str, list[tuple[int, str, tuple[float, ...], bool]]]


def fit_scorer(
    contracts: Sequence[Contract], scores: Sequence[TextScores], seed: int = 0
) -> tuple[Scorer, CuadRun]:
    """The scorer fitted on all contracts, and the figures of scorers that never saw the contract they score.

    The threshold is the best one of the cross-validated predictions.
    """
    rows = _rows(contracts, scores)
    order = np.random.default_rng(seed).permutation(len(contracts))
    held_out: list[Extraction] = [Extraction([])] * len(contracts)
    for fold in np.array_split(order, min(FOLDS, len(contracts))):
        scorer = _fit(rows, set(range(len(contracts))) - set(fold.tolist()))
        for i in fold.tolist():
            held_out[i] = scorer.decide(contracts[i].text, scores[i])
    threshold = best_threshold(score_extractions(contracts, held_out, 0.5).matches)
    whole = _fit(rows, set(range(len(contracts))))
    return Scorer(whole.parts, round(threshold, 4)), score_extractions(contracts, held_out, threshold)


def _fit(rows: Rows, kept: set[int]) -> Scorer:
    parts: dict[str, dict[str, Any]] = {}
    for part, all_rows in rows.items():
        used = [row for row in all_rows if row[0] in kept]
        parts[part] = fit_part(
            [row[1] for row in used], np.array([row[2] for row in used]), np.array([row[3] for row in used]),
            STRENGTH, by_label=part != "presence",
        )  # fmt: skip
    return Scorer(parts, 0.5)


def _rows(contracts: Sequence[Contract], scores: Sequence[TextScores]) -> Rows:
    rows: Rows = {"clause": [], "entity": [], "presence": []}
    for i, (contract, text_scores) in enumerate(zip(contracts, scores, strict=True)):
        for candidate in candidates(contract.text, text_scores):
            part = "entity" if candidate.label in ENTITY_LABELS else "clause"
            rows[part].append((i, candidate.label, candidate.features, _is_right(contract, candidate)))
        there = {span.label for span in contract.spans}
        features = presence_features(text_scores)
        rows["presence"] += [(i, label, tuple(features[c]), label in there) for c, label in enumerate(LABELS)]
    return rows


def _is_right(contract: Contract, candidate: Candidate) -> bool:
    """Whether the benchmark would count the candidate as a match."""
    quote = contract.text[candidate.start : candidate.end]
    words = tokens(quote)
    return any(
        span.label == candidate.label
        and (
            jaccard(tokens(span.text), words) >= IOU_THRESHOLD
            or (candidate.label == "Parties" and span.text in quote)
        )
        for span in contract.spans
    )
