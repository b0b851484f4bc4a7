"""How good the reviewer model is, and for which labels it may speak.

Both measurements ask about windows of contracts and score quotes as CUAD scores spans (token Jaccard of at least
0.5; ``Parties`` also by substring), a window and a label being one question.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from doyen_evaluation.spans import Prediction, SpanScores, match_spans, score_spans
from doyen_legal.corpora import Contract, GoldSpan
from doyen_legal.extract.types import Clause, Extraction
from doyen_legal.labels import LABELS
from doyen_legal.llm.prompt import NONE, Window, window_around
from doyen_legal.llm.records import LONGEST_ANSWER, Retriever, answer_in, draw_windows
from doyen_legal.llm.reviewer import Answer, Request, Reviewer, review_windows
from doyen_legal.llm.stage import Band, unsure_clauses

# The language model must win by this much, on at least this many gold spans, to replace the extractor. With ten spans
# a label and 41 labels, two or three win by chance.
MIN_GAIN = 0.05
MIN_SPANS = 20


class Asked(NamedTuple):
    """A question: contract, label, window, and the gold spans that lie in the window."""

    contract: Contract
    label: str
    window: Window
    gold: tuple[GoldSpan, ...]


def sample_questions(
    contracts: Sequence[Contract], retriever: Retriever, count: int, seed: int, none_share: float = 0.4
) -> list[Asked]:
    """About ``count`` questions, every label alike: windows around gold spans, and lookalike windows without any."""
    rng = random.Random(seed)
    each = count / len(LABELS)
    spans = defaultdict(list)
    for contract in contracts:
        for span in contract.spans:
            if span.end - span.start <= LONGEST_ANSWER:
                spans[span.label].append((contract, span))
    drawn = draw_windows(contracts, rng)
    scores = retriever.scores([window for _, window in drawn])
    questions: list[Asked] = []
    for column, label in enumerate(LABELS):
        wanted = round(each * (1 - none_share))
        for contract, span in rng.sample(spans[label], min(len(spans[label]), 4 * wanted)):
            window = window_around(contract.text, span.start, span.end, lead=rng.random())
            if wanted and answer_in(contract, window, label) is not None:
                questions.append(Asked(contract, label, window, _gold(contract, window, label)))
                wanted -= 1
        wanted = round(each * none_share)
        for index in scores[:, column].argsort()[::-1]:
            contract, window = drawn[index]
            if wanted and answer_in(contract, window, label) == NONE:
                questions.append(Asked(contract, label, window, ()))
                wanted -= 1
    return questions


def measure_reviewer(questions: Sequence[Asked], reviewer: Reviewer) -> dict[str, Any]:
    """Quote F1, false-NONE rate (an answer exists, ``NONE`` given), false-quote rate (the reverse), hallucination
    rate (quotes that are not verbatim, before the check drops them) and seconds a question."""
    began = time.monotonic()
    answers = review_windows([Request(q.label, q.window) for q in questions], reviewer)
    seconds = time.monotonic() - began
    scores = _score(questions, [_predictions(q, a.spans) for q, a in zip(questions, answers, strict=True)])
    full = [a for q, a in zip(questions, answers, strict=True) if q.gold]
    empty = [a for q, a in zip(questions, answers, strict=True) if not q.gold]
    quotes = sum(len(a.spans) + a.rejected for a in answers)
    return {
        "questions": len(questions),
        "with_answer": len(full),
        "f1": round(scores.micro_f1, 4),
        "precision": round(scores.micro_precision, 4),
        "recall": round(scores.micro_recall, 4),
        "exact_f1": round(scores.exact_f1, 4),
        "false_none_rate": _rate(sum(_silent(a) for a in full), len(full)),
        "false_quote_rate": _rate(sum(not _silent(a) for a in empty), len(empty)),
        "hallucinated_before": _rate(sum(a.rejected for a in answers), quotes),
        "hallucinated_after": 0.0,
        "seconds_per_question": round(seconds / max(1, len(questions)), 3),
        "per_label": {k: {"f1": round(s.f1, 4), "n": s.n} for k, s in scores.per_label.items()},
    }


def evaluate_reviewer(
    contracts: Sequence[Contract],
    extraction_fn: Callable[[Contract], Extraction],
    reviewer: Reviewer,
    *,
    band: Band,
    threshold: float,
    per_label: int,
    seed: int,
) -> dict[str, Any]:
    """Reviewer model against extractor on a seeded sample of the windows where the extractor is unsure.

    ``extraction_fn`` returns every candidate with its score; the extractor answers with the candidates of the window
    above ``threshold``. Figures are by label, with both F1 values and the number of gold spans.
    """
    rng = random.Random(seed)
    pool = defaultdict(list)
    found: dict[str, list[Clause]] = {}
    for contract in contracts:
        found[contract.id] = extraction_fn(contract).clauses
        for clause in unsure_clauses(found[contract.id], LABELS, band):
            window = window_around(contract.text, clause.start, clause.end)
            pool[clause.label].append(
                Asked(contract, clause.label, window, _gold(contract, window, clause.label))
            )
    questions = [q for label in LABELS for q in rng.sample(pool[label], min(per_label, len(pool[label])))]
    answers = review_windows([Request(q.label, q.window) for q in questions], reviewer)
    model = _score(questions, [_predictions(q, a.spans) for q, a in zip(questions, answers, strict=True)])
    own = []
    for asked in questions:
        low, high = asked.window.offsets[0], asked.window.offsets[-1] + 1
        inside = [
            (c.start, c.end)
            for c in found[asked.contract.id]
            if c.label == asked.label and c.score > threshold and c.start >= low and c.end <= high
        ]
        own.append(_predictions(asked, inside))
    extractor = _score(questions, own)
    return {
        "contracts": len(contracts),
        "questions": len(questions),
        "seed": seed,
        "band": list(band),
        "threshold": threshold,
        "f1_reviewer": round(model.micro_f1, 4),
        "f1_extractor": round(extractor.micro_f1, 4),
        "hallucinated_quotes": sum(a.rejected for a in answers),
        "per_label": {
            label: {
                "n": model.per_label[label].n,
                "windows": sum(q.label == label for q in questions),
                "f1_reviewer": round(model.per_label[label].f1, 4),
                "f1_extractor": round(extractor.per_label[label].f1, 4),
            }
            for label in LABELS
            if pool[label]
        },
    }


def decide_labels(
    result: dict[str, Any], min_gain: float = MIN_GAIN, min_spans: int = MIN_SPANS
) -> list[str]:
    """The labels of an ``evaluate_reviewer`` result that the reviewer model wins clearly and on enough spans."""
    return [
        label
        for label, row in result["per_label"].items()
        if row["n"] >= min_spans and row["f1_reviewer"] >= row["f1_extractor"] + min_gain
    ]


def write_labels(result: dict[str, Any], path: Path) -> None:
    """Write the decision of an ``evaluate_reviewer`` result: the file that the pipeline's stage reads."""
    content = {"labels": decide_labels(result), "band": result["band"], "evidence": result}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _gold(contract: Contract, window: Window, label: str) -> tuple[GoldSpan, ...]:
    low, high = window.offsets[0], window.offsets[-1] + 1
    return tuple(s for s in contract.spans if s.label == label and s.start < high and s.end > low)


def _predictions(asked: Asked, spans: Sequence[tuple[int, int]]) -> list[Prediction]:
    return [Prediction(asked.label, start, end, asked.contract.text[start:end], 1.0) for start, end in spans]


def _score(questions: Sequence[Asked], predictions: Sequence[list[Prediction]]) -> SpanScores:
    gold = {str(number): asked.gold for number, asked in enumerate(questions)}
    predicted = {str(number): found for number, found in enumerate(predictions)}
    return score_spans(match_spans(gold, predicted, labels=LABELS, presence_labels=[]), threshold=0.5)


def _silent(answer: Answer) -> bool:
    return not answer.spans and not answer.rejected


def _rate(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
