"""Figures of the sentiment models on a corpus file, the floor beside them, with intervals over whole texts.

Shapes: N targets, G groups (texts), D bootstrap draws, C sentiments.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_evaluation.classification import classification_scores
from doyen_evaluation.resample import group_weights, interval
from doyen_finance.sentiment.corpora import (
    LABELS,
    Flags,
    Headline,
    Target,
    read_phrasebank,
    read_sentfin,
    read_tfns,
    split,
)
from doyen_finance.sentiment.scoring import Model, default_model, encoder, probabilities, require
from doyen_schemas import DoyenError

DRAWS: Final = 1000
PROTOCOLS: Final = ("sentfin", "tfns", "phrasebank")


def measure(
    protocol: str, data: Path, limit: int | None = None, model: Model | None = None, *, dev: bool = False
) -> dict[str, Any]:
    """Figures of ``model`` (by default the one that dev chose) and of the floor on the first ``limit`` texts.

    ``dev`` keeps the tweets of a training file that training keeps apart, one in eight by a hash of the words.

    ``accuracy, macro_f1, floor_accuracy, floor_macro_f1, ece, per_class, n, ci95, flags``; sentfin also has
    ``entity_f1``, exact spans. Classes that the file lacks are named in ``flags`` and left out of the macro mean.
    Raises FIN-040, FIN-041.
    """
    chosen = model or default_model()
    require(chosen)
    headlines: list[Headline] = []
    if protocol == "sentfin":
        headlines, flags = read_sentfin(data)
        headlines = headlines[:limit]
        targets = [t for headline in headlines for t in headline.targets]
        groups = [g for g, headline in enumerate(headlines) for _ in headline.targets]
    else:
        targets, flags = (read_tfns if protocol == "tfns" else read_phrasebank)(data)
        targets = (split(targets)[1] if dev else targets)[:limit]
        groups = list(range(len(targets)))
    if not targets:
        raise DoyenError(
            "FIN-041", f"{data.name} has nothing to measure among the texts asked for.",
            "Raise --limit, or leave --dev out.",
        )  # fmt: skip
    began = time.monotonic()
    p_NC = probabilities(targets, chosen)
    seconds = time.monotonic() - began
    floor_NC = probabilities(targets, Model.linear)
    result: dict[str, Any] = {
        "protocol": protocol,
        "model": chosen.value,
        "n": len(targets),
        "texts": len({*groups}),
    }
    result |= _figures(targets, groups, p_NC, floor_NC, flags)
    result["seconds"] = round(seconds, 2)
    if protocol == "sentfin":
        f1, bounds = entity_f1(headlines)
        result["entity_f1"] = f1
        result["ci95"]["entity_f1"] = bounds
    return result


def entity_f1(headlines: Sequence[Headline]) -> tuple[float, list[float]]:
    """F1 of recognised entity spans (first and last character right), and its interval over headlines."""
    from doyen_finance.sentiment.model import entity_spans

    counts_G3 = np.zeros((len(headlines), 3))
    found = entity_spans(encoder(), [h.title for h in headlines])
    for row, (spans, headline) in enumerate(zip(found, headlines, strict=True)):
        gold = {span for target in headline.targets for span in target.spans}
        hits = len(gold & {*spans})
        counts_G3[row] = hits, len({*spans}), len(gold)
    drawn_D3 = group_weights(len(headlines), DRAWS, 0) @ counts_G3
    hits, predicted, gold_count = counts_G3.sum(axis=0)
    f1 = 2 * hits / max(1.0, predicted + gold_count)
    return round(float(f1), 4), _rounded(2 * drawn_D3[:, 0] / np.maximum(1, drawn_D3[:, 1:].sum(axis=1)))


def _figures(
    targets: Sequence[Target], groups: Sequence[int], p_NC: np.ndarray, floor_NC: np.ndarray, flags: Flags
) -> dict[str, Any]:
    gold = np.array([t.label for t in targets])
    present = [c for c in range(len(LABELS)) if (gold == c).any()]
    answers = {"": p_NC.argmax(axis=1), "floor_": floor_NC.argmax(axis=1)}
    result: dict[str, Any] = {}
    ci95: dict[str, list[float]] = {}
    drawn: dict[str, np.ndarray] = {}
    weights_DG = group_weights(max(groups) + 1, DRAWS, 0)
    for prefix, answer in answers.items():
        counts_GC3 = _counts(gold, answer, groups)
        accuracy, macro = _from_counts(counts_GC3.sum(axis=0)[None], present)
        result[f"{prefix}accuracy"], result[f"{prefix}macro_f1"] = (
            round(float(accuracy[0]), 4),
            round(float(macro[0]), 4),
        )
        sums_DC3 = np.tensordot(weights_DG, counts_GC3, axes=1)
        drawn[prefix], macro_D = _from_counts(sums_DC3, present)
        ci95[f"{prefix}accuracy"], ci95[f"{prefix}macro_f1"] = _rounded(drawn[prefix]), _rounded(macro_D)
    ci95["gain"] = _rounded(drawn[""] - drawn["floor_"])
    scores = classification_scores(gold, answers[""], LABELS, p_NC)
    result |= {
        "gain": round(result["accuracy"] - result["floor_accuracy"], 4),
        "ece": round(scores.ece or 0.0, 4),
        "per_class": {
            LABELS[c]: {"n": int((gold == c).sum()), "f1": round(scores.per_class_f1[LABELS[c]], 4)}
            for c in present
        },
        "flags": {
            **{name: count for name, count in flags._asdict().items() if count},
            **(
                {"absent_classes": absent}
                if (absent := [LABELS[c] for c in range(3) if c not in present])
                else {}
            ),
        },
        "ci95": ci95,
    }
    return result


def _counts(gold: np.ndarray, answer: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Hits, answers and truths of each class in each group [G, C, 3]."""
    counts_GC3 = np.zeros((max(groups) + 1, len(LABELS), 3))
    for group, truth, said in zip(groups, gold, answer, strict=True):
        counts_GC3[group, truth, 0] += truth == said
        counts_GC3[group, said, 1] += 1
        counts_GC3[group, truth, 2] += 1
    return counts_GC3


def _from_counts(counts_DC3: np.ndarray, present: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy [D] and mean F1 over the classes ``present`` [D]."""
    hits, said, truth = np.moveaxis(counts_DC3, -1, 0)
    accuracy_D = hits.sum(axis=1) / np.maximum(1, truth.sum(axis=1))
    f1_DC = 2 * hits / np.maximum(1, said + truth)
    return accuracy_D, f1_DC[:, list(present)].mean(axis=1)


def _rounded(values_D: np.ndarray) -> list[float]:
    bounds = interval(values_D)
    return [round(bound, 4) for bound in bounds] if bounds else []
