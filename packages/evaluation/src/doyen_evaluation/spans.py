"""Span extraction scored as CUAD scores it, pooled over questions (one contract, one label).

Semantics of the CUAD authors' ``evaluate.py`` (Hendrycks et al. 2021, arXiv:2103.06268):

- A prediction matches a gold span when the Jaccard index of their token sets is at least 0.5. Tokens: the
  characters ``. , ; :`` removed, lower case, ``/`` as a space, split on white space. For labels in
  ``substring_labels`` (``Parties``) a prediction that holds the gold text verbatim matches as well.
- A gold span that some kept prediction matches is one true positive, else a false negative. A kept prediction
  that matches no gold span of its question is a false positive. Predictions of one question with equal text
  are one prediction (here with the highest of their scores).
- A prediction is kept at a threshold when its score is *greater* than it.
- The curve is taken at the confidences .99, .98 … .01, .001, 0, begins at (recall 0, precision 1), and each
  precision is raised to the best one at any higher recall. AUPR is its trapezoid area. Precision at a recall is
  that of the first point that reaches it, 0 if none does; the last point (confidence 0) is not looked at.

Matching is done once by ``match_spans``; every figure is then a sum of counts by contract, which is what makes
a bootstrap over contracts cheap.

Shape legend: C contracts, L labels, T thresholds, D bootstrap draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from doyen_evaluation.resample import group_weights, interval
from doyen_schemas import DoyenError

IOU_THRESHOLD: Final = 0.5
CONFIDENCES: Final[NDArray[np.float64]] = np.append(np.arange(0.99, 0, -0.01), [0.001, 0.0])
_PUNCTUATION: Final = str.maketrans({".": None, ",": None, ";": None, ":": None, "/": " "})

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Span(Protocol):
    """A gold span; any object with these attributes will do."""

    @property
    def label(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def text(self) -> str: ...


class Prediction(NamedTuple):
    """A predicted span with its score in [0, 1]."""

    label: str
    start: int
    end: int
    text: str
    score: float


class Curve(NamedTuple):
    """A precision–recall curve from high to low confidence.

    ``recall`` and ``precision`` (raised to the envelope) have one point more than ``confidence``: the first
    point, (0, 1), has none.
    """

    confidence: Floats
    recall: Floats
    precision: Floats


class LabelScore(NamedTuple):
    """One label at the threshold; ``n`` counts its gold spans."""

    f1: float
    n: int
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Figures of one evaluation.

    ``macro_f1`` is the mean over labels that have gold spans. ``presence_auroc_macro`` is the mean over the
    presence labels that some contracts have and others lack; None when there is no such label. ``exact_f1``
    counts a prediction only when both of its offsets equal the gold span's.
    """

    n_contracts: int
    threshold: float
    aupr: float
    p_at_80r: float
    p_at_90r: float
    micro_f1: float
    micro_precision: float
    micro_recall: float
    macro_f1: float
    exact_f1: float
    presence_auroc_macro: float | None
    per_label: dict[str, LabelScore]


class _Scored(NamedTuple):
    """Scored events: the contract and label they belong to and the score up to which they happen."""

    contract: Ints
    label: Ints
    score: Floats


@dataclass(frozen=True, slots=True)
class SpanMatches:
    """What the figures need of gold and predictions, with all text comparison done.

    ``found`` has one row a gold span that some prediction matches, scored by the best such prediction;
    ``false`` one row a prediction that matches nothing; ``exact`` and ``offered`` the predictions whose offsets
    are gold, and all predictions, by offsets. ``gold_CL`` counts gold spans, ``gold_exact_CL`` their distinct
    offsets, ``presence_CL`` is the score that the label occurs in the contract.
    """

    contracts: tuple[str, ...]
    labels: tuple[str, ...]
    presence_labels: tuple[str, ...]
    gold_CL: Ints
    gold_exact_CL: Ints
    presence_CL: Floats
    found: _Scored
    false: _Scored
    exact: _Scored
    offered: _Scored


def tokens(text: str) -> frozenset[str]:
    """The token set that CUAD compares spans by."""
    return frozenset(text.translate(_PUNCTUATION).lower().split())


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared tokens over all tokens; 0 when both sets are empty (where the original divides by zero)."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if first or second else 0.0


def match_spans(
    gold: Mapping[str, Iterable[Span]],
    predictions: Mapping[str, Iterable[Prediction]],
    *,
    labels: Sequence[str] | None = None,
    presence_labels: Sequence[str] | None = None,
    presence: Mapping[str, Mapping[str, float]] | None = None,
    substring_labels: Iterable[str] = ("Parties",),
) -> SpanMatches:
    """Compare predictions with gold spans, contract by contract.

    Args:
        gold: gold spans by contract; a contract without any must still be a key.
        predictions: predictions by contract; a contract may be absent.
        labels: the questions asked; by default the labels seen in gold and predictions, sorted.
        presence_labels: the labels that presence AUROC is taken over; by default all.
        presence: score that a label occurs, by contract and label; by default the best span's score, 0 if none.
        substring_labels: labels where a prediction that contains the gold text matches.

    Raises EVA-001 (predictions for a contract that gold does not have), EVA-002 (a score outside [0, 1]) and
    EVA-003 (a label that was not asked for).
    """
    spans = {contract: tuple(items) for contract, items in gold.items()}
    guesses = {contract: tuple(items) for contract, items in predictions.items()}
    seen = {s.label for items in spans.values() for s in items}
    seen |= {p.label for items in guesses.values() for p in items}
    asked = tuple(sorted(seen) if labels is None else labels)
    _check(spans, guesses, seen, asked, presence_labels or ())

    column = {label: index for index, label in enumerate(asked)}
    whole = frozenset(substring_labels)
    shape = (len(spans), len(asked))
    gold_CL, gold_exact_CL = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    presence_CL = np.zeros(shape)
    found: list[tuple[int, int, float]] = []
    false: list[tuple[int, int, float]] = []
    exact: list[tuple[int, int, float]] = []
    offered: list[tuple[int, int, float]] = []

    for row, (contract, golds) in enumerate(spans.items()):
        gold_by_label: dict[str, list[Span]] = defaultdict(list)
        for span in golds:
            gold_by_label[span.label].append(span)
        by_text: dict[str, dict[str, float]] = defaultdict(dict)
        by_offset: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
        for p in guesses.get(contract, ()):
            if not p.text:
                continue
            by_text[p.label][p.text] = max(p.score, by_text[p.label].get(p.text, 0.0))
            place = (p.start, p.end)
            by_offset[p.label][place] = max(p.score, by_offset[p.label].get(place, 0.0))

        for label, items in gold_by_label.items():
            places = {(s.start, s.end) for s in items}
            gold_CL[row, column[label]] = len(items)
            gold_exact_CL[row, column[label]] = len(places)
        for label, scores in by_text.items():
            at = column[label]
            presence_CL[row, at] = max(scores.values())
            answers = gold_by_label.get(label, [])
            best, unmatched = _match([s.text for s in answers], scores, label in whole)
            found += [(row, at, score) for score in best if score is not None]
            false += [(row, at, score) for score in unmatched]
            places = {(s.start, s.end) for s in answers}
            exact += [(row, at, score) for place, score in by_offset[label].items() if place in places]
            offered += [(row, at, score) for score in by_offset[label].values()]
        for label, score in (presence or {}).get(contract, {}).items():
            if label in column:
                presence_CL[row, column[label]] = score

    return SpanMatches(
        contracts=tuple(spans), labels=asked,
        presence_labels=tuple(asked if presence_labels is None else presence_labels),
        gold_CL=gold_CL, gold_exact_CL=gold_exact_CL, presence_CL=presence_CL,
        found=_scored(found), false=_scored(false), exact=_scored(exact), offered=_scored(offered),
    )  # fmt: skip


def _check(
    spans: Mapping[str, Sequence[Span]],
    guesses: Mapping[str, Sequence[Prediction]],
    seen: set[str],
    asked: Sequence[str],
    presence_labels: Sequence[str],
) -> None:
    strangers = [contract for contract in guesses if contract not in spans]
    if strangers:
        raise DoyenError(
            "EVA-001",
            f"predictions for {len(strangers)} contracts that the gold file does not have, the first {strangers[0]!r}.",
            "Predict on the file that you evaluate.",
        )
    wrong = next((p.score for items in guesses.values() for p in items if not 0.0 <= p.score <= 1.0), None)
    if wrong is not None:
        raise DoyenError(
            "EVA-002", f"prediction score {wrong} is outside [0, 1].", "Give probabilities, not logits."
        )
    unknown = sorted((seen | set(presence_labels)) - set(asked))
    if unknown:
        raise DoyenError(
            "EVA-003",
            f"label {unknown[0]!r} is none of the {len(asked)} labels asked for.",
            "Pass every label of gold and predictions in labels.",
        )


def _match(
    answers: Sequence[str], scores: Mapping[str, float], substring: bool
) -> tuple[list[float | None], list[float]]:
    """For each answer the best score of a prediction that matches it; and the scores that match no answer."""
    if not answers:
        return [], list(scores.values())
    answer_tokens = [tokens(text) for text in answers]
    best: list[float | None] = [None] * len(answers)
    unmatched: list[float] = []
    for text, score in scores.items():
        own, matched = tokens(text), False
        for index, answer in enumerate(answers):
            if jaccard(answer_tokens[index], own) >= IOU_THRESHOLD or (substring and answer in text):
                matched = True
                known = best[index]
                best[index] = score if known is None else max(known, score)
        if not matched:
            unmatched.append(score)
    return best, unmatched


def _scored(rows: list[tuple[int, int, float]]) -> _Scored:
    if not rows:
        return _Scored(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    contract, label, score = zip(*rows, strict=True)
    return _Scored(np.array(contract, np.int64), np.array(label, np.int64), np.array(score, np.float64))


def score_spans(matches: SpanMatches, threshold: float) -> SpanScores:
    """All figures of one evaluation; the threshold-bound ones at ``threshold``."""
    n_L = matches.gold_CL.sum(axis=0)
    tp_L = _counts_CL(matches, matches.found, threshold).sum(axis=0)
    fp_L = _counts_CL(matches, matches.false, threshold).sum(axis=0)
    f1_L = _f1(tp_L, fp_L, n_L)
    precision_L, recall_L = _ratio(tp_L, tp_L + fp_L), _ratio(tp_L, n_L)
    tp, fp, n = tp_L.sum(), fp_L.sum(), n_L.sum()

    points = _curve(*_sweep(matches))
    once = np.ones((1, len(matches.contracts)))
    auroc = _presence_auroc(matches, once)[0]
    exact = _counts_CL(matches, matches.exact, threshold).sum()
    offered = _counts_CL(matches, matches.offered, threshold).sum()
    return SpanScores(
        n_contracts=len(matches.contracts),
        threshold=float(threshold),
        aupr=float(_aupr(points)[0]),
        p_at_80r=float(_precision_at(points, 0.8)[0]),
        p_at_90r=float(_precision_at(points, 0.9)[0]),
        micro_f1=float(_f1(tp, fp, n)),
        micro_precision=float(_ratio(tp, tp + fp)),
        micro_recall=float(_ratio(tp, n)),
        macro_f1=float(_macro(f1_L, n_L)),
        exact_f1=float(_f1(exact, offered - exact, matches.gold_exact_CL.sum())),
        presence_auroc_macro=None if np.isnan(auroc) else float(auroc),
        per_label={
            label: LabelScore(float(f1_L[i]), int(n_L[i]), float(precision_L[i]), float(recall_L[i]))
            for i, label in enumerate(matches.labels)
        },
    )


def bootstrap_ci(
    matches: SpanMatches, threshold: float, *, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile intervals from ``draws`` samples of contracts with replacement (Efron 1979).

    A figure that a draw does not define (no label with both classes) leaves that draw out of its interval;
    a figure that no draw defines is absent from the result.
    """
    count = len(matches.contracts)
    if count == 0 or draws < 1:
        return {}
    weights_DC = group_weights(count, draws, seed)
    tp_CT, fp_CT, n_C = _sweep_by_contract(matches)
    points = _curve(weights_DC @ tp_CT, weights_DC @ fp_CT, weights_DC @ n_C)
    tp_DL = weights_DC @ _counts_CL(matches, matches.found, threshold)
    fp_DL = weights_DC @ _counts_CL(matches, matches.false, threshold)
    n_DL = weights_DC @ matches.gold_CL
    samples_D = {
        "aupr": _aupr(points),
        "p_at_80r": _precision_at(points, 0.8),
        "p_at_90r": _precision_at(points, 0.9),
        "micro_f1": _f1(tp_DL.sum(axis=1), fp_DL.sum(axis=1), n_DL.sum(axis=1)),
        "macro_f1": _macro(_f1(tp_DL, fp_DL, n_DL), n_DL),
        "presence_auroc_macro": _presence_auroc(matches, weights_DC),
    }
    intervals = {name: interval(values, level) for name, values in samples_D.items()}
    return {name: bounds for name, bounds in intervals.items() if bounds is not None}


def best_threshold(matches: SpanMatches) -> float:
    """The threshold with the best pooled F1, searched over every score that occurs, not the official grid.

    It lies half way to the next lower score; the highest of equally good ones is taken. 0 without predictions.
    """
    events = np.concatenate([matches.found.score, matches.false.score])
    if not events.size:
        return 0.0
    order = np.argsort(-events, kind="stable")
    is_tp = np.concatenate([np.ones(matches.found.score.size), np.zeros(matches.false.score.size)])[order]
    scores = events[order]
    tp, fp = np.cumsum(is_tp), np.cumsum(1 - is_tp)
    f1 = _f1(tp, fp, matches.gold_CL.sum())
    last_of_ties = np.append(scores[1:] < scores[:-1], True)
    possible = last_of_ties & (scores > 0)  # no threshold keeps a score of 0
    if not possible.any():
        return 0.0
    at = int(np.argmax(np.where(possible, f1, -1.0)))
    below = scores[at + 1] if at + 1 < scores.size else 0.0
    return float((scores[at] + below) / 2)


def curve(matches: SpanMatches, label: str | None = None) -> Curve:
    """The official curve, pooled or of one label."""
    tp_T, fp_T, n = _sweep(matches, label)
    recall, precision = _curve(tp_T, fp_T, n)
    return Curve(CONFIDENCES, recall[0], precision[0])


def _counts_CL(matches: SpanMatches, events: _Scored, threshold: float) -> Ints:
    counts = np.zeros(matches.gold_CL.shape, np.int64)
    kept = events.score > threshold
    np.add.at(counts, (events.contract[kept], events.label[kept]), 1)
    return counts


def _sweep_by_contract(matches: SpanMatches, label: str | None = None) -> tuple[Floats, Floats, Floats]:
    """True positives and false positives, each (C, T), and gold spans (C,)."""
    column = None if label is None else matches.labels.index(label)
    tables = []
    for events in (matches.found, matches.false):
        counts = np.zeros((len(matches.contracts), CONFIDENCES.size))
        kept_ET = events.score[:, None] > CONFIDENCES
        if column is not None:
            kept_ET &= (events.label == column)[:, None]
        np.add.at(counts, events.contract, kept_ET)
        tables.append(counts)
    gold_CL = matches.gold_CL if column is None else matches.gold_CL[:, [column]]
    return tables[0], tables[1], gold_CL.sum(axis=1).astype(np.float64)


def _sweep(matches: SpanMatches, label: str | None = None) -> tuple[Floats, Floats, Floats]:
    tp_CT, fp_CT, n_C = _sweep_by_contract(matches, label)
    return tp_CT.sum(axis=0)[None], fp_CT.sum(axis=0)[None], n_C.sum()[None]


def _curve(tp_DT: Floats, fp_DT: Floats, n_D: Floats) -> tuple[Floats, Floats]:
    """Recall and enveloped precision, each (D, 1 + T), beginning at (0, 1)."""
    with np.errstate(invalid="ignore"):
        precision_DT = tp_DT / (tp_DT + fp_DT)
        recall_DT = tp_DT / n_D[:, None]
    first = np.ones((tp_DT.shape[0], 1))
    precision = np.concatenate([first, precision_DT], axis=1)
    # fmax: where nothing is kept yet precision is undefined and takes that of the next lower confidence.
    precision = np.fmax.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([0 * first, recall_DT], axis=1), precision


def _aupr(points: tuple[Floats, Floats]) -> Floats:
    recall, precision = points
    return np.nan_to_num(np.atleast_1d(np.trapezoid(precision, recall, axis=1)), nan=0.0)


def _precision_at(points: tuple[Floats, Floats], wanted: float) -> Floats:
    recall, precision = (values[:, :-1] for values in points)  # as there: the last point is not looked at
    reached = recall >= wanted
    first = reached.argmax(axis=1)
    return np.where(reached.any(axis=1), precision[np.arange(len(precision)), first], 0.0)


def _ratio(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


def _f1(tp: Floats | Ints, fp: Floats | Ints, n: Floats | Ints) -> Floats:
    """2 tp / (2 tp + fp + fn), with tp + fn = n gold spans; 0 when there is nothing to find and nothing found."""
    return _ratio(2 * tp, tp + fp + n)


def _macro(f1: Floats, n: Floats | Ints) -> Floats:
    return _ratio(np.where(n > 0, f1, 0.0).sum(axis=-1), (n > 0).sum(axis=-1))


def _presence_auroc(matches: SpanMatches, weights_DC: Floats) -> Floats:
    """Macro AUROC of presence under contract weights, (D,); NaN where no label has both classes."""
    total_D, count_D = np.zeros(len(weights_DC)), np.zeros(len(weights_DC))
    for label in matches.presence_labels:
        at = matches.labels.index(label)
        has_C = matches.gold_CL[:, at] > 0
        positive, negative = matches.presence_CL[has_C, at], matches.presence_CL[~has_C, at]
        difference = positive[:, None] - negative[None, :]
        wins = (difference > 0) + 0.5 * (difference == 0)
        weight_P, weight_N = weights_DC[:, has_C], weights_DC[:, ~has_C]
        pairs_D = weight_P.sum(axis=1) * weight_N.sum(axis=1)
        total_D += _ratio(((weight_P @ wins) * weight_N).sum(axis=1), pairs_D)
        count_D += pairs_D > 0
    return np.where(count_D > 0, total_D / np.maximum(count_D, 1), np.nan)
