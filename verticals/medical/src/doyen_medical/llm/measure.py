"""How good the reasoner is: settings chosen on train questions out of fold, figures on the development cases.

Shape legend: N questions.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_evaluation.resample import ratio_ci
from doyen_medical.evaluate.rankings import MISSED
from doyen_medical.llm.check import IsTerm, check
from doyen_medical.llm.facts import Facts
from doyen_medical.llm.questions import Question, questions_of
from doyen_medical.llm.stage import Settings, asked, order

if TYPE_CHECKING:
    from doyen_medical.cases import Case
    from doyen_medical.knowledge.store import Knowledge

Floats = NDArray[np.float64]
Score = Callable[[Facts], list[float]]
WEIGHTS: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
PLACES: Final = (1, 2, 4)
MARGINS: Final = (0.35, 0.7)
"""Natural logarithms of the first candidate's probability over the second's."""
_LEVELS: Final = {"top1": 1, "top3": 3, "top10": 10}


def dev_questions(
    knowledge: Knowledge, cases: Sequence[Case], limit: int | None = None, most: int = 10
) -> list[Question]:
    """Questions of the protocol ``papers``: knowledge and patients without held-out papers and without the cases' own.

    The first ``limit`` cases, of at most ``most`` of a disease and paper.
    """
    from doyen_medical import weights
    from doyen_medical.cases import capped
    from doyen_medical.knowledge.purge import held_out
    from doyen_medical.rank.library import build

    own = frozenset(case.paper for case in cases)
    annotations = knowledge.annotations.without_papers(lambda paper: held_out(paper) or paper in own)
    patients = [case for case in weights.patients() if case.paper not in own]
    ranker = weights.ranker(build(knowledge, annotations, patients))
    return list(questions_of(ranker, capped(cases, most)[:limit]))


def scores_of(
    questions: Sequence[Question], score: Score, margin: float, say: Callable[[str], None] = lambda _: None
) -> tuple[list[list[float] | None], float]:
    """The model's scores of each question that ``margin`` lets it be asked, and the seconds a question asked."""
    found: list[list[float] | None] = []
    seconds = 0.0
    for number, question in enumerate(questions):
        if not asked(question.chances, margin):
            found.append(None)
            continue
        began = time.perf_counter()
        found.append(score(question.facts))
        seconds += time.perf_counter() - began
        if number % 25 == 0:
            say(f"{number} of {len(questions)} questions")
    return found, seconds / max(1, sum(row is not None for row in found))


def tune(questions: Sequence[Question], scores: Sequence[list[float] | None]) -> dict[str, Any]:
    """The settings with the highest MRR on these questions, and the whole grid; ``baseline`` is the ranker alone.

    Equal ones give way to the smaller weight, then to fewer places, then to the smaller margin.
    """
    grid = [
        {"weight": w, "places": p, "margin": m, "mrr": _mrr(questions, scores, Settings(w, p, m))}
        for w, p, m in itertools.product(WEIGHTS, PLACES, MARGINS)
    ]
    best = max(grid, key=lambda row: (row["mrr"], -row["weight"], -row["places"], -row["margin"]))
    baseline = round(float(_reciprocal(np.array([q.place for q in questions])).mean()), 5)
    return {
        "n": len(questions), "asked": sum(row is not None for row in scores), "baseline": baseline,
        "settings": {key: best[key] for key in ("weight", "places", "margin")}, "mrr": best["mrr"], "grid": grid,
    }  # fmt: skip


def compare(
    questions: Sequence[Question], scores: Sequence[list[float] | None], settings: Settings
) -> dict[str, Any]:
    """The ranker alone and with the model on the same questions, and the gain with its interval (draws of papers)."""
    after_N = _places(questions, scores, settings)
    before_N = np.array([question.place for question in questions])
    of_paper = np.unique([question.paper for question in questions], return_inverse=True)[1]
    counts = np.bincount(of_paper).astype(float)
    arms = {"ranker": before_N, "with_model": after_N}
    hits = {arm: _hits(place_N) for arm, place_N in arms.items()}
    gains = {key: hits["with_model"][key] - hits["ranker"][key] for key in hits["ranker"]}
    asked_N = np.array([_is_asked(q, row, settings) for q, row in zip(questions, scores, strict=True)])
    return {
        "n": len(questions), "asked": int(asked_N.sum()), "moved": int((after_N != before_N).sum()),
        **{arm: {key: _round(hit.mean()) for key, hit in found.items()} for arm, found in hits.items()},
        "gain": {key: _round(gain.mean()) for key, gain in gains.items()},
        "ci95": {
            key: [_round(bound) for bound in bounds]
            for key, gain in gains.items()
            if (bounds := ratio_ci(np.bincount(of_paper, gain).astype(float), counts)) is not None
        },
    }  # fmt: skip


def written(
    questions: Sequence[Question], write: Callable[[Facts], list[str]], is_term: IsTerm
) -> dict[str, Any]:
    """What the check says of the sentences that the model writes on these questions."""
    dropped: Counter[str] = Counter()
    kept = 0
    began = time.perf_counter()
    for question in questions:
        verdict = check(write(question.facts), question.facts, is_term)
        kept += len(verdict.kept)
        dropped.update(verdict.dropped)
    seconds = (time.perf_counter() - began) / max(1, len(questions))
    return {
        "questions": len(questions), "sentences": kept + dropped.total(), "kept": kept, "dropped": dict(dropped),
        "seconds": round(seconds, 3),
    }  # fmt: skip


def _places(
    questions: Sequence[Question], scores: Sequence[list[float] | None], settings: Settings
) -> Floats:
    places = []
    for question, row in zip(questions, scores, strict=True):
        if question.truth < 0 or row is None or not _is_asked(question, row, settings):
            places.append(question.place)
        else:
            places.append(float(order(question.chances, row, settings).index(question.truth)))
    return np.array(places)


def _is_asked(question: Question, row: list[float] | None, settings: Settings) -> bool:
    return row is not None and asked(question.chances, settings.margin)


def _mrr(questions: Sequence[Question], scores: Sequence[list[float] | None], settings: Settings) -> float:
    return round(float(_reciprocal(_places(questions, scores, settings)).mean()), 5)


def _hits(place_N: Floats) -> dict[str, Floats]:
    return {name: (place_N < level).astype(float) for name, level in _LEVELS.items()} | {
        "mrr": _reciprocal(place_N)
    }


def _reciprocal(place_N: Floats) -> Floats:
    return np.where(place_N < MISSED, 1 / (1 + place_N), 0.0)


def _round(value: Any) -> float:
    return round(float(value), 5)


def read_cases(path: Path, knowledge: Knowledge) -> list[Case]:
    """Cases of a file, their papers written as the annotations write them. Raises MED-010, MED-011."""
    from dataclasses import replace

    from doyen_medical.cases import read_cases as read
    from doyen_medical.knowledge.purge import paper_id

    return [replace(case, paper=paper_id(case.paper)) for case in read(path, knowledge.ontology)]
