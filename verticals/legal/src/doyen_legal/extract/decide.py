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

from doyen_legal.extract.scores import TextScores
from doyen_legal.extract.types import Clause, Extraction
from doyen_legal.labels import ENTITY_LABELS, LABELS

Floats = npt.NDArray[np.float64]

FEATURES: Final = (
    "deep", "wide", "inside", "peak", "best_gap", "document_best", "neighbour", "position", "words", "merged",
    "title_case",
)  # fmt: skip
PRESENCE_FEATURES: Final = ("best", "deep", "wide", "inside", "second")
# A sentence is a candidate when the mean of its two logits exceeds this: low enough to lose almost no clause.
_CANDIDATE_LOGIT: Final = -4.0
# Neighbouring sentences are one clause when the CRF holds both inside the label.
_MERGE_INSIDE: Final = 0.5


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


def _clause_candidates(text: str, scores: TextScores, blend: Floats, inside: Floats, label: str, c: int) -> list[Candidate]:
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
    out: list[Candidate] = []
    for span in scores.spans:
        if span.label != label:
            continue
        n = int(np.searchsorted(scores.sentences_N2[:, 1], span.start, side="right"))
        n = min(n, len(column) - 1)
        start, end = _trim(text, span.start, span.end)
        quote = text[start:end]
        if not quote:
            continue
        around = [column[i] for i in (n - 1, n + 1) if 0 <= i < len(column)]
        out.append(
            Candidate(label, start, end, (
                float(scores.deep_NC[n, c]), float(scores.wide_NC[n, c]), float(log_odds(np.array([span.score]))[0]),
                float(log_odds(scores.peak_NC[[n], c])[0]), float(column[n]) - best, best, max(around, default=-8.0),
                n / len(column), float(np.log1p(len(quote.split()))), 0.0, float(quote[:1].isupper()),
            ))
        )  # fmt: skip
    return out


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out white space and dangling quotes or commas at the edges of a name."""
    while start < end and (text[start].isspace() or text[start] in ",;:\"“”'("):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in ",;:\"“”("):
        end -= 1
    return start, end
