"""Measure the contradiction head on ContractNLI: with the evidence given, and end to end.

Only the evidence and the hypothesis are read from the pairs, only the text, its sentence ranges and the hypotheses
from the documents: every other field could give the label away.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_legal.corpora import NLI_LABELS, NliPair, open_text, read_nli_pairs
from doyen_schemas import DoyenError

DRAWS: Final = 1000
_CHOICES: Final = {"Entailment": 0, "Contradiction": 1, "NotMentioned": 2}


@dataclass(frozen=True, slots=True)
class NliDocument:
    """A ContractNLI document: its sentences, and for each hypothesis the label and the gold sentences."""

    sentences: tuple[str, ...]
    labels: dict[str, int]
    evidence: dict[str, tuple[int, ...]]


def evaluate_file(path: Path, limit: int | None = None) -> dict[str, Any]:
    """``evaluate_pairs`` for a CSV of pairs, ``evaluate_documents`` for the official JSON, told by the first character."""
    with open_text(path) as file:
        try:
            first = file.read(64).lstrip("\ufeff \n")[:1]
        except (UnicodeDecodeError, EOFError, OSError) as error:
            raise DoyenError(
                "LEG-002",
                f"{path.name} cannot be decoded ({type(error).__name__}).",
                "It must be UTF-8 CSV or JSON.",
            ) from error
    return evaluate_documents(path, limit) if first == "{" else evaluate_pairs(path, limit)


def evaluate_pairs(path: Path, limit: int | None = None) -> dict[str, Any]:
    """Scores of the shipped head on a CSV of pairs, with 95 % intervals and the seconds taken.

    ``n`` pairs give ``accuracy, macro_f1, entailment_f1, contradiction_f1``. The intervals resample blocks of pairs
    that stand together as one contract does. Raises LEG-001, LEG-002.
    """
    from doyen_legal.risk.nli import probabilities
    from doyen_legal.risk.training import contracts

    pairs = _read_pairs(path, limit)
    began = time.monotonic()
    predicted = probabilities([(pair.evidence, pair.hypothesis) for pair in pairs]).argmax(1).tolist()
    seconds = time.monotonic() - began
    gold = [pair.label for pair in pairs]
    groups = [contract for contract, _ in contracts(pairs)]
    return {
        "protocol": "contract-nli-pairs", "n": len(pairs), **score_labels(gold, predicted),
        "ci95": intervals(gold, predicted, groups), "seconds": round(seconds, 2),
    }  # fmt: skip


def evaluate_documents(path: Path, limit: int | None = None) -> dict[str, Any]:
    """End to end on the official JSON: retrieve the evidence for each hypothesis, then classify.

    Beside the scores of ``evaluate_pairs``: ``documents``, ``evidence_recall`` (gold sentences among those that
    the answer rests on, over decided hypotheses) and ``evidence_hit`` (at least one of them).
    """
    from doyen_legal.risk.nli import answer

    documents = read_nli_documents(path, limit)
    _refuse_empty(len(documents), path)
    began = time.monotonic()
    gold: list[int] = []
    predicted: list[int] = []
    groups: list[int] = []
    recalls: list[float] = []
    for number, document in enumerate(documents):
        asked = list(document.labels)
        for hypothesis, (scores, used) in zip(asked, answer(document.sentences, asked), strict=True):
            gold.append(document.labels[hypothesis])
            predicted.append(int(scores.argmax()))
            groups.append(number)
            wanted = document.evidence[hypothesis]
            if wanted:
                recalls.append(len({*wanted} & {*used}) / len(wanted))
    return {
        "protocol": "contract-nli-documents", "documents": len(documents), "n": len(gold),
        **score_labels(gold, predicted), "ci95": intervals(gold, predicted, groups),
        "evidence_recall": round(float(np.mean(recalls)), 4) if recalls else None,
        "evidence_hit": round(float(np.mean([r > 0 for r in recalls])), 4) if recalls else None,
        "seconds": round(time.monotonic() - began, 2),
    }  # fmt: skip


def _read_pairs(path: Path, limit: int | None) -> list[NliPair]:
    try:
        pairs = read_nli_pairs(path, limit)
    except (UnicodeDecodeError, EOFError, OSError, csv.Error) as error:
        raise _undecodable(path, error) from error
    _refuse_empty(len(pairs), path)
    short = next(
        (i for i, pair in enumerate(pairs) if pair.evidence is None or pair.hypothesis is None), None
    )
    if short is not None:
        raise DoyenError(
            "LEG-002",
            f"row {short + 2} of {path.name} has too few columns.",
            "Each row has as many as the header.",
        )
    return pairs


def _undecodable(path: Path, error: Exception) -> DoyenError:
    return DoyenError(
        "LEG-002", f"{path.name} cannot be decoded ({type(error).__name__}).", "It must be UTF-8 CSV or JSON."
    )


def read_nli_documents(path: Path, limit: int | None = None) -> list[NliDocument]:
    """Documents of the official JSON: ``{"documents": [...], "labels": {id: {"hypothesis"}}}``, gzipped or not.

    Raises LEG-001 (no file), LEG-002 (another format, with the document's number).
    """
    found: list[NliDocument] = []
    try:
        with open_text(path) as file:
            content = json.load(file)
        hypotheses = {key: str(value["hypothesis"]) for key, value in content["labels"].items()}
        for item in content["documents"][:limit]:
            text = item["text"]
            answers = item["annotation_sets"][0]["annotations"]
            found.append(
                NliDocument(
                    tuple(text[start:end] for start, end in item["spans"]),
                    {hypotheses[key]: _CHOICES[value["choice"]] for key, value in answers.items()},
                    {hypotheses[key]: tuple(map(int, value["spans"])) for key, value in answers.items()},
                )
            )
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DoyenError(
            "LEG-002",
            f"{path.name}, document {len(found) + 1}: this is not ContractNLI's JSON ({type(error).__name__}).",
            'The format is {"documents": [{"text", "spans", "annotation_sets"}], "labels": {id: {"hypothesis"}}}.',
        ) from error
    return found


def score_labels(gold: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Accuracy, macro F1 over the three labels, and F1 of entailment and contradiction."""
    return {
        name: round(float(value), 4) for name, value in _scores(np.array(gold), np.array(predicted)).items()
    }


def intervals(gold: Sequence[int], predicted: Sequence[int], groups: Sequence[int]) -> dict[str, list[float]]:
    """95 % bootstrap intervals of the scores: 1,000 draws of whole ``groups`` (contracts), seed 0."""
    confusions = np.zeros((max(groups) + 1, 3, 3))
    np.add.at(confusions, (np.array(groups), np.array(gold), np.array(predicted)), 1)
    rng = np.random.default_rng(0)
    draws = [
        _from_confusion(confusions[rng.integers(len(confusions), size=len(confusions))].sum(0))
        for _ in range(DRAWS)
    ]
    return {
        name: [round(float(np.percentile([d[name] for d in draws], q)), 4) for q in (2.5, 97.5)]
        for name in draws[0]
    }


def _scores(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    confusion = np.zeros((3, 3))
    np.add.at(confusion, (gold, predicted), 1)
    return _from_confusion(confusion)


def _from_confusion(confusion: np.ndarray) -> dict[str, float]:
    """Scores of a confusion matrix [gold, predicted]; a label that never occurs has F1 0."""
    f1 = 2 * confusion.diagonal() / np.maximum(1, confusion.sum(0) + confusion.sum(1))
    named = dict(zip(NLI_LABELS, f1, strict=True))
    return {
        "accuracy": confusion.trace() / max(1, confusion.sum()), "macro_f1": f1.mean(),
        "entailment_f1": named["entailment"], "contradiction_f1": named["contradiction"],
    }  # fmt: skip


def _refuse_empty(count: int, path: Path) -> None:
    if not count:
        raise DoyenError(
            "LEG-002", f"{path.name} has no rows to measure on.", "Give a file with at least one."
        )
