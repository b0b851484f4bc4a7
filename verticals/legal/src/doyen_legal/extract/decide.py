"""From raw scores to labelled spans: candidates, their features, and a calibrated logistic scorer.

Clauses are sentences, names and dates are spans of the CRF; both heads score both (a sentence carries the CRF's
posterior of its words, a CRF span the logit of its sentence). The scorer is a logistic regression fitted on the dev
part and kept as numbers in ``scorer.json``, so every score can be traced to its parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from doyen_legal.extract.parties import party_introductions
from doyen_legal.extract.scores import TextScores
from doyen_legal.extract.types import Clause, Extraction
from doyen_legal.labels import ENTITY_LABELS, LABELS
from doyen_legal.normalise import find_dates

Floats = npt.NDArray[np.float64]

FEATURES: Final = (
    "deep", "wide", "inside", "peak", "best_gap", "document_best", "neighbour", "position", "words", "merged",
    "title_case",
)  # fmt: skip
PRESENCE_FEATURES: Final = ("best", "second")
# A sentence is a candidate when the mean of its two logits exceeds this: low enough to lose almost no clause.
_CANDIDATE_LOGIT: Final = -6.0
# Neighbouring sentences are one clause when the CRF holds both inside the label.
_MERGE_INSIDE: Final = 0.5
# In the best few sentences for a date or a title, spans that the CRF left out are candidates as well.
_READ_SENTENCES: Final = 5
_DATES: Final = frozenset({"Agreement Date", "Effective Date"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible span of one label, with its ``FEATURES``."""

    label: str
    start: int
    end: int
    features: tuple[float, ...]


def log_odds(p: npt.NDArray[Any]) -> Floats:
    """Log odds, bounded to +-8."""
    p = np.clip(p.astype(np.float64), 3.4e-4, 1 - 3.4e-4)
    return np.asarray(np.log(p / (1 - p)))


def candidates(text: str, scores: TextScores) -> list[Candidate]:
    """Every candidate span of every label."""
    found: list[Candidate] = []
    blend = 0.5 * (scores.deep_NC.astype(np.float64) + scores.wide_NC)
    inside = log_odds(scores.inside_NC)
    for c, label in enumerate(LABELS):
        if not len(blend):
            break
        if label in ENTITY_LABELS:
            found += _entity_candidates(text, scores, blend, label, c)
        else:
            found += _clause_candidates(text, scores, blend, inside, label, c)
    return found


def _clause_candidates(
    text: str, scores: TextScores, blend: Floats, inside: Floats, label: str, c: int
) -> list[Candidate]:
    column = blend[:, c]
    best = float(column.max())
    picked = np.flatnonzero((column > _CANDIDATE_LOGIT) | (scores.inside_NC[:, c] > 0.5))
    groups: list[list[int]] = []
    for n in picked.tolist():
        joined = (
            groups
            and groups[-1][-1] == n - 1
            and min(scores.inside_NC[n, c], scores.inside_NC[n - 1, c]) > _MERGE_INSIDE
            and min(column[n], column[n - 1]) > 0
        )
        if joined:
            groups[-1].append(n)
        else:
            groups.append([n])
    out: list[Candidate] = []
    for group in groups:
        start, end = int(scores.sentences_N2[group[0], 0]), int(scores.sentences_N2[group[-1], 1])
        around = [column[i] for i in (group[0] - 1, group[-1] + 1) if 0 <= i < len(column)]
        out.append(
            Candidate(label, start, end, (
                float(scores.deep_NC[group, c].max()), float(scores.wide_NC[group, c].max()),
                float(inside[group, c].max()), float(log_odds(scores.peak_NC[group, c]).max()),
                float(column[group].max()) - best, best, max(around, default=-8.0),
                group[0] / len(column), float(np.log1p(len(text[start:end].split()))), float(len(group) > 1), 0.0,
            ))
        )  # fmt: skip
    return out


def _entity_candidates(text: str, scores: TextScores, blend: Floats, label: str, c: int) -> list[Candidate]:
    column = blend[:, c]
    best = float(column.max())
    posterior: dict[tuple[int, int], float] = {}
    for span in scores.spans:
        if span.label == label:
            posterior[_trim(text, span.start, span.end)] = span.score
    for place in _other_readings(text, scores, column, label):
        posterior.setdefault(place, 0.0)
    out: list[Candidate] = []
    for (start, end), p in posterior.items():
        if end <= start:
            continue
        n = min(int(np.searchsorted(scores.sentences_N2[:, 1], start, side="right")), len(column) - 1)
        quote = text[start:end]
        around = [column[i] for i in (n - 1, n + 1) if 0 <= i < len(column)]
        out.append(
            Candidate(label, start, end, (
                float(scores.deep_NC[n, c]), float(scores.wide_NC[n, c]), float(log_odds(np.array([p]))[0]),
                float(log_odds(scores.peak_NC[[n], c])[0]), float(column[n]) - best, best, max(around, default=-8.0),
                n / len(column), float(np.log1p(len(quote.split()))), float(p == 0.0), float(quote[:1].isupper()),
            ))
        )  # fmt: skip
    return out


def _other_readings(text: str, scores: TextScores, column: Floats, label: str) -> list[tuple[int, int]]:
    """Spans that the CRF may have missed: dates in a sentence that speaks of the label, the sentence itself."""
    found: list[tuple[int, int]] = []
    if label == "Parties":
        for low, high in _regions(column):
            start, end = int(scores.sentences_N2[low, 0]), int(scores.sentences_N2[high, 1])
            found += party_introductions(text, start, end)
        return found
    for n in np.argsort(-column)[:_READ_SENTENCES].tolist():
        if column[n] < _CANDIDATE_LOGIT:
            break
        start, end = scores.sentences_N2[n].tolist()
        if label in _DATES:
            found += [(start + m.start, start + m.end) for m in find_dates(text[start:end])]
        found.append((start, end))
    return found


def _regions(column: Floats) -> list[tuple[int, int]]:
    """Runs of sentences that speak of a label, one quiet sentence between them allowed: first and last."""
    runs: list[list[int]] = []
    for n in np.flatnonzero(column > _CANDIDATE_LOGIT).tolist():
        if runs and n - runs[-1][1] <= 2:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return [(low, high) for low, high in runs]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out white space and dangling quotes or commas at the edges of a name."""
    while start < end and (text[start].isspace() or text[start] in ",;:\"“”'("):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in ',;:"“”('):
        end -= 1
    return start, end


@dataclass(frozen=True)
class Scorer:
    """Logistic scorers of candidates (one for clauses, one for entities) and of a label's presence.

    A score is the logistic function of ``bias[label] + slope[label] * features[0] + weights . features``; features
    are standardised by ``mean`` and ``deviation``. Presence has no label terms: the heads' logits carry each label's
    base rate already. ``threshold`` is where the pooled F1 on dev is best.
    """

    parts: dict[str, dict[str, Any]]
    threshold: float

    def score(self, part: str, label: str, features: Floats) -> Floats:
        """``[M]`` probabilities of M candidates of one label, ``features`` ``[M, F]``."""
        p = self.parts[part]
        x = (features - np.array(p["mean"])) / np.array(p["deviation"])
        z = x @ np.array(p["weights"]) + p["bias"].get(label, 0.0) + p["slope"].get(label, 0.0) * x[:, 0]
        return np.asarray(1 / (1 + np.exp(-(z + p["intercept"]))))

    def decide(self, text: str, scores: TextScores) -> Extraction:
        """Candidates with their scores, best first within a label, and each label's presence."""
        clauses: list[Clause] = []
        by_label: dict[str, list[Candidate]] = {label: [] for label in LABELS}
        for candidate in candidates(text, scores):
            by_label[candidate.label].append(candidate)
        for label, group in by_label.items():
            if group:
                part = "entity" if label in ENTITY_LABELS else "clause"
                p = self.score(part, label, np.array([c.features for c in group], dtype=np.float64))
                ranked = sorted(zip(group, p.tolist(), strict=True), key=lambda pair: -pair[1])
                clauses += [Clause(label, c.start, c.end, s) for c, s in ranked]
        features = presence_features(scores)
        presence = {
            label: float(self.score("presence", label, features[c : c + 1])[0])
            for c, label in enumerate(LABELS)
        }
        return Extraction(clauses, presence)

    def save(self, path: Path) -> None:
        path.write_text(
            json.dumps({"parts": self.parts, "threshold": self.threshold}, indent=1) + "\n", encoding="utf-8"
        )

    @classmethod
    def load(cls, path: Path) -> Scorer:
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["parts"], float(data["threshold"]))


def presence_features(scores: TextScores) -> Floats:
    """``[C, PRESENCE_FEATURES]``: the best and second-best evidence for each label in the document."""
    if not len(scores.deep_NC):
        return np.full((len(LABELS), len(PRESENCE_FEATURES)), -8.0)
    ordered = np.sort(0.5 * (scores.deep_NC.astype(np.float64) + scores.wide_NC), axis=0)
    return np.stack([ordered[-1], ordered[max(-2, -len(ordered))]], axis=1)


def fit_part(
    labels: Sequence[str],
    features: Floats,
    gold: npt.NDArray[np.bool_],
    strength: float,
    by_label: bool = True,
) -> dict[str, Any]:
    """Fit one logistic scorer; ``labels[i]`` is row i's label.

    With ``by_label`` each label has a bias and a slope of its own, shrunk towards 0 harder than the shared weights:
    most labels have few rows on dev.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(0), np.maximum(features.std(0), 1e-6)
    x = (features - mean) / deviation
    names = sorted(set(labels)) if by_label else []
    one_hot = np.array([[label == name for name in names] for label in labels], dtype=np.float64)
    one_hot = one_hot.reshape(len(labels), len(names))
    design = np.concatenate([x, 0.7 * one_hot, 0.4 * one_hot * x[:, :1]], axis=1)
    model = LogisticRegression(C=strength, max_iter=2000).fit(design, gold)
    weights, f = model.coef_[0], x.shape[1]
    return {
        "mean": mean.tolist(), "deviation": deviation.tolist(), "weights": weights[:f].tolist(),
        "intercept": float(model.intercept_[0]),
        "bias": dict(zip(names, (0.7 * weights[f : f + len(names)]).tolist(), strict=True)),
        "slope": dict(zip(names, (0.4 * weights[f + len(names) :]).tolist(), strict=True)),
    }  # fmt: skip
