"""The contradiction head at run time: judge evidence against hypotheses, and find the evidence.

The head is trained on the 17 hypotheses of ContractNLI and only these are answered: on other statements its
probabilities mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from doyen_legal import weights
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_modeling.pairs import PairClassifier

WEIGHTS: Final = "nli.safetensors"
NOT_MENTIONED: Final = 2
# Sentences that similarity offers for each hypothesis, and those of them that are read together as evidence.
CANDIDATES: Final = 12
EVIDENCE: Final = 3


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

    unknown = {hypothesis for _, hypothesis in pairs} - hypotheses()
    if unknown:
        raise DoyenError(
            "LEG-038",
            f"{len(unknown)} hypotheses are none of the {len(hypotheses())} that the head was trained on.",
            "Use one of doyen_legal.risk.nli.hypotheses(), or a text pattern instead.",
        )
    return predict(shipped(), [Pair(evidence, hypothesis, 0) for evidence, hypothesis in pairs])


def judge(pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, float]]:
    """``probabilities`` as mappings from label to probability."""
    labels = shipped().labels
    return [dict(zip(labels, map(float, row), strict=True)) for row in probabilities(pairs)]


def answer(sentences: Sequence[str], asked: Sequence[str]) -> list[tuple[np.ndarray, list[int]]]:
    """For each hypothesis, label probabilities [3] and the indices of the sentences that they rest on.

    Retrieve, then classify: sentences near the hypothesis are judged one by one, and the best that are not
    irrelevant are judged together. Without any, the most relevant alone decides.
    """
    if not sentences:
        nothing = np.eye(3, dtype=np.float32)[NOT_MENTIONED]
        return [(nothing, []) for _ in asked]
    near = nearest(sentences, asked, CANDIDATES)
    single = probabilities([(sentences[i], h) for h, row in zip(asked, near, strict=True) for i in row])
    chosen: list[list[int]] = []
    offset = 0
    for row in near:
        relevance = 1 - single[offset : offset + len(row), NOT_MENTIONED]
        offset += len(row)
        best = [i for i in np.argsort(-relevance) if relevance[i] >= 0.5][:EVIDENCE] or [
            int(relevance.argmax())
        ]
        chosen.append(sorted(row[i] for i in best))
    joint = probabilities(
        [("\n".join(sentences[i] for i in row), h) for h, row in zip(asked, chosen, strict=True)]
    )
    return list(zip(joint, chosen, strict=True))


def nearest(sentences: Sequence[str], asked: Sequence[str], k: int) -> list[list[int]]:
    """For each hypothesis the ``k`` sentences of highest cosine similarity, best first."""
    from doyen_modeling.pairs import embed

    similarity = embed(asked) @ embed(sentences).T
    return [[int(i) for i in np.argsort(-row)[:k]] for row in similarity]
