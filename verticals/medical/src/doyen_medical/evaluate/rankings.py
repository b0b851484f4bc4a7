"""Protocols of the ranking: ``papers``, ``uncited`` and ``external``, figures with intervals by paper.

A case's rank is that of its disease among all candidates; a disease that is no candidate is a miss. Ties share the
mean of their places.

Shape legend: N cases, D columns.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_evaluation.resample import ratio_ci
from doyen_medical import weights
from doyen_medical.cases import Case, Patient, capped, known_terms, read_cases, read_text, rows
from doyen_medical.evaluate import floors
from doyen_medical.knowledge.purge import held_out, paper_id
from doyen_medical.knowledge.store import Knowledge, load_published
from doyen_medical.rank.examples import stratum
from doyen_medical.rank.library import Library, build
from doyen_medical.rank.ranker import Ranker, Ranking
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]
MISSED: Final = 1e9
STRATA: Final = ("few_shot", "knowledge_only", "unannotated")
_CITED: Final = "hpoa_cites_this_paper_for_this_disease"
_LEVELS: Final = {"top1": 1, "top3": 3, "top10": 10, "top50": 50}


@dataclass(frozen=True)
class Outcome:
    """What a ranker said of a case: place of the true disease from 0, probability of its first candidate."""

    place: float
    first: float
    abstained: bool


def papers(data: Path, *, limit: int | None = None, with_floors: bool = False) -> dict[str, Any]:
    """Protocol ``papers``: no annotation row that mentions a held-out paper or a paper of the file.

    At most ten cases of a disease and paper; every case is ranked, as in a report. ``limit`` does not narrow the purge.
    Raises MED-010, MED-011, MED-012.
    """
    knowledge = load_published()
    everything = _read(data, knowledge)
    own = frozenset(case.paper for case in everything)
    cases = _some(capped(everything), limit, data)
    annotations = knowledge.annotations.without_papers(lambda paper: held_out(paper) or paper in own)
    patients = [case for case in weights.patients() if case.paper not in own]
    library = build(knowledge, annotations, patients)
    outcomes, seconds = _judge(weights.ranker(library), cases)
    strata = [stratum(library, case.disease) for case in cases]
    result = figures(outcomes, cases, seconds, knowledge) | {"strata": _strata(outcomes, strata)}
    if with_floors:
        result["floors"] = _floors(
            build(knowledge, annotations, patients, orphanet=False), cases, outcomes, strata
        )
    return result


def uncited(data: Path, *, limit: int | None = None, with_floors: bool = False) -> dict[str, Any]:
    """Protocol ``uncited``: knowledge as released, cases that HPOA does not cite and whose disease it has.

    The figures are those without published patients; ``with_profiles`` has them with. Raises MED-010 to MED-012.
    """
    knowledge = load_published()
    _check_flags(data)
    everything = _read(data, knowledge)
    own = {case.paper for case in everything}
    have = set(knowledge.annotations.diseases)
    cases = _some([c for c in everything if not c.cited and c.disease in have], limit, data)
    library = build(knowledge, knowledge.annotations)
    outcomes, seconds = _judge(Ranker(library, weights.fuser("literature")), cases)
    result = figures(outcomes, cases, seconds, knowledge)
    patients = [case for case in weights.patients() if case.paper not in own]
    both = build(knowledge, knowledge.annotations, patients)
    strata = [stratum(both, case.disease) for case in cases]
    result["strata"] = _strata(outcomes, strata)
    found, seconds = _judge(weights.ranker(both), cases)
    result["with_profiles"] = figures(found, cases, seconds, knowledge) | {"strata": _strata(found, strata)}
    if with_floors:
        plain = build(knowledge, knowledge.annotations, orphanet=False)
        result["floors"] = _floors(plain, cases, outcomes, strata)
    return result


def external(data: Path, *, limit: int | None = None, with_floors: bool = False) -> dict[str, Any]:
    """Protocol ``external``: a JSON list of ``[[HPO ids], [disease codes]]``, knowledge as released.

    Any of the OMIM codes is right, and any that is the same disease as one of the ORPHA codes. Raises MED-010, MED-011
    (another format), MED-012 (no case).
    """
    knowledge = load_published()
    library = build(knowledge, knowledge.annotations, weights.patients())
    of_orpha = defaultdict(list)
    for omim, orphas in library.same.items():
        for orpha in orphas:
            of_orpha[orpha].append(omim)
    cases, answers = [], []
    for number, (ids, codes) in enumerate(_pairs(data)):
        same = [omim for code in codes for omim in of_orpha.get(code, ())]
        right = list(dict.fromkeys([*(code for code in codes if code.startswith("OMIM:")), *same]))
        patient = Patient(known_terms(ids, knowledge.ontology))
        cases.append(Case(str(number), str(number), (right or codes or ["none"])[0], "", False, patient))
        answers.append(right)
    cases, answers = _some(cases, limit, data), answers[:limit]
    ranker = weights.ranker(library)
    outcomes, seconds = _judge(ranker, cases, answers)
    strata = [stratum(library, case.disease) for case in cases]
    result = figures(outcomes, cases, seconds, knowledge) | {"strata": _strata(outcomes, strata)}
    if with_floors:
        plain = build(knowledge, knowledge.annotations, orphanet=False)
        result["floors"] = _floors(plain, cases, outcomes, strata, answers)
    return result


PROTOCOLS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "papers": papers,
    "uncited": uncited,
    "external": external,
}


def figures(
    outcomes: Sequence[Outcome], cases: Sequence[Case], seconds: float, knowledge: Knowledge
) -> dict[str, Any]:
    """Shares of the cases, disease-macro shares, calibration, intervals from draws of whole papers."""
    place_N = np.array([outcome.place for outcome in outcomes])
    hits = {name: (place_N < level).astype(float) for name, level in _LEVELS.items()}
    hits["mrr"] = np.where(place_N < MISSED, 1 / (1 + place_N), 0)
    of_paper = np.unique([case.paper for case in cases], return_inverse=True)[1]
    counts = np.bincount(of_paper).astype(float)
    by_disease: dict[str, list[int]] = defaultdict(list)
    for at, case in enumerate(cases):
        by_disease[case.disease].append(at)
    first_N = np.array([outcome.first for outcome in outcomes])
    return {
        "n": len(cases),
        **{name: _round(hit.mean()) for name, hit in hits.items()},
        "macro": {
            "diseases": len(by_disease),
            **{
                name: _round(np.mean([hit[at].mean() for at in by_disease.values()]))
                for name, hit in hits.items()
            },
        },
        "ece": _round(equal_mass_ece(first_N, hits["top1"])),
        "ci95": {
            name: [_round(bound) for bound in interval]
            for name, hit in hits.items()
            if (interval := ratio_ci(np.bincount(of_paper, hit).astype(float), counts)) is not None
        },
        "abstained": _round(np.mean([outcome.abstained for outcome in outcomes])),
        "seconds_per_case": round(seconds / len(cases), 5),
        "knowledge_version": knowledge.version,
        "excluded_terms_used": 0,
    }


def equal_mass_ece(chance_N: Floats, right_N: Floats, bins: int = 10) -> float:
    """Mean gap of probability and accuracy over bins of equal count (Nixon et al. 2019)."""
    parts = np.array_split(np.argsort(chance_N, kind="stable"), bins)
    return float(
        sum(abs(chance_N[at].mean() - right_N[at].mean()) * len(at) for at in parts if len(at))
        / len(chance_N)
    )


def place(score_D: NDArray[Any], columns: Sequence[int]) -> float:
    """The best place of the columns, from 0; ties share the mean of their places; ``MISSED`` without a column."""
    if not len(columns):
        return MISSED
    best = max(score_D[at] for at in columns)
    return float((score_D > best).sum() + ((score_D == best).sum() - 1) / 2)


def _judge(
    ranker: Ranker, cases: Sequence[Case], answers: Sequence[Sequence[str]] | None = None
) -> tuple[list[Outcome], float]:
    """The ranking of each case, from what a patient shows alone, and the seconds that ranking took."""
    number = ranker.library.number
    ranker.rank(Patient((int(np.flatnonzero(ranker.library.content_T)[0]),)))  # builds the tables
    outcomes, seconds = [], 0.0
    for at, case in enumerate(cases):
        began = time.perf_counter()
        ranking = ranker.rank(case.patient)
        seconds += time.perf_counter() - began
        right = [number[code] for code in (answers[at] if answers else [case.disease]) if code in number]
        first = float(ranking.chances[0]) if len(ranking.chances) else 0.0
        outcomes.append(Outcome(placed(ranking, right), first, bool(ranking.abstain)))
    return outcomes, seconds


def placed(ranking: Ranking, right: Sequence[int]) -> float:
    """``place`` of the columns in a ranking: by probability in the pool, by similarity behind it."""
    found = np.flatnonzero(np.isin(ranking.columns, right))
    pool = len(ranking.chances)
    if not len(found):
        return MISSED
    if found[0] < pool:
        return place(ranking.chances, [int(found[0])])
    rest = ranking.scores["resM"][ranking.columns[pool:]]
    return pool + place(rest, [int(found[0]) - pool])


def _strata(outcomes: Sequence[Outcome], strata: Sequence[str]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for name in STRATA:
        own = [outcome for outcome, has in zip(outcomes, strata, strict=True) if has == name]
        found[name] = {"n": len(own)}
        for level in ("top1", "top3", "top10"):
            found[name][level] = _round(np.mean([o.place < _LEVELS[level] for o in own])) if own else None
        found[name]["abstained"] = _round(np.mean([o.abstained for o in own])) if own else None
    return found


def _floors(
    library: Library, cases: Sequence[Case], outcomes: Sequence[Outcome], strata: Sequence[str],
    answers: Sequence[Sequence[str]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Each floor method's figures, and by how much the ranking is better (paired draws of papers)."""
    right = [
        [
            library.number[code]
            for code in (answers[at] if answers else [case.disease])
            if code in library.number
        ]
        for at, case in enumerate(cases)
    ]
    of_paper = np.unique([case.paper for case in cases], return_inverse=True)[1]
    own_N = np.array([outcome.place for outcome in outcomes])
    score = floors.methods(library)
    places: dict[str, Floats] = {}
    for at_case, (case, columns) in enumerate(zip(cases, right, strict=True)):
        for name, values in score(case.patient).items() if case.patient.terms else ():
            places.setdefault(name, np.full(len(cases), MISSED))[at_case] = place(values, columns)
    result: dict[str, Any] = {}
    for name, place_N in places.items():
        result[name] = {level: _round((place_N < k).mean()) for level, k in _LEVELS.items()}
        result[name]["strata"] = {}
        for kind in STRATA:
            at = np.array([has == kind for has in strata])
            if at.any():
                row: dict[str, Any] = {
                    level: _round((place_N[at] < k).mean()) for level, k in _LEVELS.items()
                }
                for level in ("top1", "top3", "top10"):
                    gain = (own_N < _LEVELS[level]) * 1.0 - (place_N < _LEVELS[level])
                    bounds = ratio_ci(
                        np.bincount(of_paper, gain * at).astype(float),
                        np.bincount(of_paper, at).astype(float),
                    )  # fmt: skip
                    row[f"gain_{level}"] = [_round((gain * at).sum() / at.sum()), *map(_round, bounds or ())]
                result[name]["strata"][kind] = row
    return result


def _read(data: Path, knowledge: Knowledge) -> list[Case]:
    """The cases, their papers written as the annotations write them."""
    return [replace(c, paper=paper_id(c.paper)) for c in read_cases(data, knowledge.ontology)]


def _check_flags(data: Path) -> None:
    """Raises MED-011 for a line without a true or false that says whether HPOA cites the paper."""
    for number, row in rows(data):
        if not (isinstance(row, dict) and isinstance(row.get(_CITED), bool)):
            raise DoyenError(
                "MED-011", f"line {number} of {data.name} must have {_CITED} as true or false.",
                "The protocol uncited leaves the cases out whose paper HPOA cites.",
            )  # fmt: skip


def _pairs(data: Path) -> list[tuple[list[str], list[str]]]:
    """Raises MED-010 and MED-011."""
    hint = "The protocol external takes a JSON list of [[HPO ids], [disease codes]]."
    try:
        items = json.loads(read_text(data))
    except (ValueError, RecursionError) as error:
        raise DoyenError("MED-011", f"{data.name} is no JSON.", hint) from error
    if not isinstance(items, list):
        raise DoyenError("MED-011", f"{data.name} is no list of pairs.", hint)
    for number, item in enumerate(items, start=1):
        if not (isinstance(item, list) and len(item) == 2 and all(map(_is_texts, item))):
            raise DoyenError("MED-011", f"item {number} of {data.name} is no pair of lists of strings.", hint)
    return [(ids, codes) for ids, codes in items]


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _some(cases: list[Case], limit: int | None, data: Path) -> list[Case]:
    if not cases:
        raise DoyenError(
            "MED-012", f"{data.name} has no case for this protocol.", "See the README for the formats."
        )
    return cases[:limit]


def _round(value: Any) -> float:
    return round(float(value), 4)
