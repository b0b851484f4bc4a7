"""The contradiction head at run time: judge evidence against hypotheses, and find the evidence.

The head is trained on the 17 hypotheses of ContractNLI and only these are answered: on other statements its
probabilities mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from doyen_legal import weights
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_modeling.pairs import PairClassifier

WEIGHTS: Final = "nli.safetensors"
NOT_MENTIONED: Final = 2
# How many sentences are read together as evidence: few miss some of it, many drown it, and the three readings err
# apart, so their mean is the answer.
READINGS: Final = (3, 5, 7)


@cache
def hypotheses() -> frozenset[str]:
    """The statements that the shipped head was trained on; reads its configuration only, no weights."""
    path = (weights.folder() / WEIGHTS).with_suffix(".json")
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["hypotheses"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DoyenError(
            "MOD-032",
            f"pair classifier {WEIGHTS} cannot be read ({type(error).__name__}).",
            "Reinstall the package, or train the classifier again.",
        ) from error


@cache
def shipped() -> PairClassifier:
    """The head of the verified adapter in use, loaded once a process."""
    from doyen_modeling.pairs import load_delta

    return load_delta(weights.verified(weights.folder()).path(WEIGHTS))[0]


def probabilities(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Probabilities [len(pairs), 3] of entailment, contradiction, not_mentioned for (evidence, hypothesis).

    Raises LEG-038 for a hypothesis that the head was not trained on.
    """
    from doyen_modeling.pairs import Pair, predict

    _refuse_unknown(hypothesis for _, hypothesis in pairs)
    return predict(shipped(), [Pair(evidence, hypothesis, 0) for evidence, hypothesis in pairs])


def judge(pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, float]]:
    """``probabilities`` as mappings from label to probability."""
    labels = shipped().labels
    return [dict(zip(labels, map(float, row), strict=True)) for row in probabilities(pairs)]


def answer(sentences: Sequence[str], asked: Sequence[str]) -> list[tuple[np.ndarray, list[int]]]:
    """For each hypothesis, label probabilities [3] and the indices of the sentences that they rest on.

    Retrieve, then classify: the sentences that bear most on the hypothesis are judged together, in the text's
    order, in three readings of growing length.
    Raises LEG-038 for a hypothesis that the head was not trained on.
    """
    from doyen_legal.risk import evidence
    from doyen_modeling.pairs import embed

    if not sentences:
        nothing = np.eye(3, dtype=np.float32)[NOT_MENTIONED]
        return [(nothing, []) for _ in asked]
    _refuse_unknown(asked)
    vectors, heads = embed(sentences), evidence.shipped()
    best = [heads.best(vectors, hypothesis, max(READINGS)) for hypothesis in asked]
    read = probabilities(
        [
            ("\n".join(sentences[i] for i in sorted(row[:k])), hypothesis)
            for row, hypothesis in zip(best, asked, strict=True)
            for k in READINGS
        ]
    )
    mean = read.reshape(len(asked), len(READINGS), -1).mean(1)
    return [(scores, sorted(row)) for scores, row in zip(mean, best, strict=True)]


def _refuse_unknown(asked: Iterable[str]) -> None:
    unknown = {*asked} - hypotheses()
    if unknown:
        raise DoyenError(
            "LEG-038",
            f"{len(unknown)} hypotheses are none of the {len(hypotheses())} that the head was trained on.",
            "Use one of doyen_legal.risk.nli.hypotheses(), or a text pattern instead.",
        )
