"""The CUAD protocol: 41 questions a contract, scored as the benchmark's authors do.

The threshold is the shipped one, chosen on dev; nothing is fitted to the file that is evaluated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doyen_evaluation.spans import Prediction, SpanMatches, bootstrap_ci, match_spans, score_spans
from doyen_legal.corpora import Contract, read_cuad
from doyen_legal.extract.types import Extraction
from doyen_legal.labels import CLAUSE_LABELS, LABELS
from doyen_schemas import DoyenError


@dataclass(frozen=True, slots=True)
class CuadRun:
    """Everything that an evaluation produced: the matches (for curves) and the figures."""

    matches: SpanMatches
    figures: dict[str, Any]


def evaluate_cuad(
    path: Path,
    *,
    limit: int | None = None,
    llm: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CuadRun:
    """Run the shipped extractor over a CUAD file and score it.

    Raises LEG-001, LEG-002 (the file), LEG-062 (no contract in it).
    """
    from doyen_legal.extract.extractor import Extractor

    contracts = list(read_cuad(path, limit))
    if not contracts:
        raise DoyenError("LEG-062", f"no contract in {path.name}.", "Give a file with one contract a line.")
    extractor = Extractor.shipped()
    extractions: list[Extraction] = []
    sentences = 0
    began = time.monotonic()
    for done, contract in enumerate(contracts, start=1):
        scores = extractor.score(contract.text)
        extractions.append(extractor.decide(contract.text, scores))
        sentences += len(scores.sentences_N2)
        if progress:
            progress(done, len(contracts))
    seconds = time.monotonic() - began
    dropped, state = 0, "left out"
    if llm:
        from doyen_legal.llm.stage import availability, second_opinion

        available = availability()
        state = f"{available.state}: {available.reason}" if available.reason else "ran"
        for i, contract in enumerate(contracts if available.state == "ready" else []):
            opinion = second_opinion(contract.text, extractions[i])
            extractions[i], dropped = opinion.extraction, dropped + opinion.hallucinated
    run = score_extractions(contracts, extractions, extractor.threshold)
    run.figures.update(
        hallucinated_quotes=dropped,
        sentences_per_second=round(sentences / max(seconds, 1e-9), 1),
        seconds=round(time.monotonic() - began, 2),
        llm=state,
    )
    return run


def score_extractions(
    contracts: Sequence[Contract], extractions: Sequence[Extraction], threshold: float
) -> CuadRun:
    """The figures of the protocol for given extractions, in the contracts' order."""
    keys = [f"{i}:{contract.id}" for i, contract in enumerate(contracts)]
    matches = match_spans(
        {key: contract.spans for key, contract in zip(keys, contracts, strict=True)},
        {
            key: [
                Prediction(c.label, c.start, c.end, contract.text[c.start : c.end], c.score)
                for c in extraction.clauses
            ]
            for key, contract, extraction in zip(keys, contracts, extractions, strict=True)
        },
        labels=LABELS,
        presence_labels=CLAUSE_LABELS,
        presence={key: extraction.presence for key, extraction in zip(keys, extractions, strict=True)},
    )
    scores = score_spans(matches, threshold)
    figures: dict[str, Any] = {
        "protocol": "cuad",
        "n_contracts": scores.n_contracts,
        **{
            name: _round(getattr(scores, name))
            for name in ("aupr", "p_at_80r", "p_at_90r", "micro_f1", "macro_f1", "threshold", "presence_auroc_macro",
                         "exact_f1", "micro_precision", "micro_recall")
        },
        "per_label": {label: {"f1": _round(s.f1), "n": s.n} for label, s in scores.per_label.items()},
        "ci95": {name: [_round(low), _round(high)] for name, (low, high) in bootstrap_ci(matches, threshold).items()},
    }  # fmt: skip
    return CuadRun(matches, figures)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
