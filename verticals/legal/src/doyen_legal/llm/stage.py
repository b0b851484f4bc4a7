"""The pipeline's language-model stage: a second opinion where the extractor is unsure.

It speaks only for the labels where it beat the extractor on the fixed dev sample (``labels.json``), and only about
windows around candidates in the unsure band. Elsewhere the extractor's answer stands.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from doyen_legal import weights
from doyen_legal.extract.types import Clause, Extraction
from doyen_legal.llm.prompt import window_around
from doyen_legal.llm.reviewer import ADAPTER, Request, Reviewer, load_reviewer, review_windows
from doyen_schemas import DoyenError

LABELS_FILE: Final = Path(__file__).with_name("labels.json")
WINDOWS_PER_LABEL: Final = 5


class Band(NamedTuple):
    """Scores that count as unsure: ``low <= score < high``, around the extractor's threshold."""

    low: float
    high: float


class Decision(NamedTuple):
    """What the reviewer model may do: the labels it speaks for, and the scores that it is asked about."""

    labels: frozenset[str]
    band: Band


class Availability(NamedTuple):
    """Whether the stage can run; ``reason`` says why not."""

    state: Literal["ready", "absent", "skipped"]
    reason: str = ""


class Opinion(NamedTuple):
    """The extraction after the second opinion, the windows asked, and the quotes dropped as not verbatim."""

    extraction: Extraction
    windows: int
    hallucinated: int


@cache
def shipped_decision() -> Decision:
    """The decision that ``doyen legal reviewer decide`` wrote."""
    content = json.loads(LABELS_FILE.read_text(encoding="utf-8"))
    return Decision(frozenset(content["labels"]), Band(*content["band"]))


@cache
def shipped_reviewer() -> Reviewer:
    """The verified adapter in use on its base, loaded once a process. Raises MOD-002 when the base is absent."""
    return load_reviewer(weights.verified(weights.folder()).folder / "reviewer")


def availability() -> Availability:
    """Whether the stage can run here: ``absent`` without the base, ``skipped`` without a label to speak for."""
    from doyen_modeling.base import base_path
    from doyen_modeling.methods import adapter_base

    try:
        base_path(adapter_base(ADAPTER).source)
    except DoyenError as error:
        return Availability("absent", f"{error.message} {error.hint}")
    if not shipped_decision().labels:
        return Availability("skipped", "the extractor's answer stands for every label")
    return Availability("ready")


def unsure_band(threshold: float) -> Band:
    """From half the extractor's threshold to half the way from it to 1."""
    return Band(threshold / 2, (1 + threshold) / 2)


def unsure_clauses(clauses: Sequence[Clause], labels: Collection[str], band: Band) -> list[Clause]:
    """The candidates to ask about: the best few of each label inside the band."""
    chosen: list[Clause] = []
    for label in sorted(labels):
        inside = [c for c in clauses if c.label == label and band.low <= c.score < band.high]
        chosen += sorted(inside, key=lambda c: -c.score)[:WINDOWS_PER_LABEL]
    return chosen


def second_opinion(
    text: str, extraction: Extraction, *, decision: Decision | None = None, reviewer: Reviewer | None = None
) -> Opinion:
    """Ask about the unsure candidates of ``extraction`` and put the answers in their place.

    A candidate that the model answers with ``NONE`` falls below the band; one that it quotes is replaced by the
    quotes, scored above it. ``decision`` and ``reviewer`` default to the shipped ones; without a label to speak for,
    no model is loaded. Raises MOD-002 when the base is absent.
    """
    labels, band = decision or shipped_decision()
    asked = unsure_clauses(extraction.clauses, labels, band)
    if not asked:
        return Opinion(extraction, 0, 0)
    requests = [Request(c.label, window_around(text, c.start, c.end)) for c in asked]
    answers = review_windows(requests, reviewer or shipped_reviewer())
    replaced: dict[tuple[str, int, int], Clause] = {}
    for clause, answer in zip(asked, answers, strict=True):
        new = [
            Clause(clause.label, *span, band.high + (1 - band.high) * answer.score) for span in answer.spans
        ]
        for candidate in new or [clause._replace(score=band.low * clause.score)]:
            known = replaced.get(candidate[:3])
            if known is None or candidate.score > known.score:
                replaced[candidate[:3]] = candidate
    taken = {clause[:3] for clause in asked}
    rest = [c for c in extraction.clauses if c[:3] not in taken and c[:3] not in replaced]
    clauses = sorted([*rest, *replaced.values()], key=lambda c: (c.label, -c.score, c.start))
    return Opinion(replace(extraction, clauses=clauses), len(asked), sum(a.rejected for a in answers))
