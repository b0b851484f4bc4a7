"""Training examples of the fuser: each train case scored by a library that never saw its paper.

The papers are in four folds. For a fold's cases, the annotation rows that mention one of its papers and the published
patients of those papers are left out, so that a case meets its disease as a new patient would: with patients from
other papers, with the literature alone, or with nothing. Held-out papers (``purge.held_out``) are left out always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from doyen_medical.cases import Case, capped
from doyen_medical.knowledge.purge import BUCKETS, FIRST_HELD_OUT, bucket, held_out
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank.features import LOG_NOISE, PATIENT_SCORES, ExtraScore, Scorer
from doyen_medical.rank.library import Library, build
from doyen_medical.rank.tables import Floats
from doyen_schemas import DoyenError

FOLDS: Final = 4
Stratum = Literal["few_shot", "knowledge_only", "unannotated"]
GraphOf = Callable[[Library, int | None], dict[str, ExtraScore]]
"""Further scores for a fold's library (None: the library of all train cases), trained without that fold's papers."""


@dataclass(frozen=True)
class Example:
    """Scores of the pool's candidates, and which is true: -1 when none is."""

    names: tuple[str, ...]
    matrix_NF: Floats
    query: Floats
    truth: int
    stratum: Stratum
    case: Case


def fold_of(paper: str) -> int:
    """The fold of a train paper."""
    return bucket(paper) * FOLDS // 12


def stratum(library: Library, disease: str) -> Stratum:
    """Few-shot: the disease has a published patient; knowledge only: annotations of its own code; else unannotated."""
    column = library.number.get(disease)
    if column is None:
        return "unannotated"
    if library.patients_D[column]:
        return "few_shot"
    return "knowledge_only" if library.own_D[column] else "unannotated"


def fold_library(knowledge: Knowledge, cases: Sequence[Case], fold: int, *, profiles: bool) -> Library:
    """The library that a fold's cases are scored by."""
    annotations = knowledge.annotations.without_papers(
        lambda paper: held_out(paper) or (fold_of(paper) == fold)
    )
    return build(knowledge, annotations, [c for c in cases if profiles and fold_of(c.paper) != fold])


def refuse_held_out(cases: Sequence[Case]) -> None:
    """Raises MED-018 when a case is of a paper that no weights may rest on."""
    if wrong := sum(held_out(case.paper) for case in cases):
        raise DoyenError(
            "MED-018",
            f"{wrong} of {len(cases)} cases are of held-out papers; only papers of buckets 0 to {FIRST_HELD_OUT - 1}"
            f" of {BUCKETS} (SHA-256 of PMID:n modulo {BUCKETS}) may be trained on.",
            "Give the train part of the cases.",
        )


def examples(
    knowledge: Knowledge, cases: Sequence[Case], *, profiles: bool, extra: GraphOf | None = None
) -> Iterator[tuple[int, Example]]:
    """Fold and example of every train case, at most ten of a disease and paper. Raises MED-018."""
    refuse_held_out(cases)
    for fold in range(FOLDS):
        library = fold_library(knowledge, cases, fold, profiles=profiles)
        scorer = Scorer(library, extra(library, fold) if extra else None)
        for case in capped(c for c in cases if fold_of(c.paper) == fold):
            if case.patient.terms:
                yield fold, example(scorer, case)


def example(scorer: Scorer, case: Case) -> Example:
    """One case's scores. ``truth`` is -1 too when the true disease is not in the pool."""
    scores = scorer.score(case.patient)
    pool = scorer.pool(scores)
    column = scorer.library.number.get(case.disease, -1)
    at = np.flatnonzero(pool == column)
    return Example(
        names=tuple(scores),
        matrix_NF=np.stack([scores[name][pool] for name in scores], 1).astype(np.float32),
        query=scorer.query(case.patient),
        truth=int(at[0]) if len(at) else -1,
        stratum=stratum(scorer.library, case.disease),
        case=case,
    )


def without_patients(example: Example) -> Example:
    """The example as if the true disease had no published patient: it is known from the literature alone."""
    matrix = example.matrix_NF.copy()
    place = {name: at for at, name in enumerate(example.names)}
    row = matrix[example.truth]
    for name, value in PATIENT_SCORES.items():
        row[place[name]] = len(example.case.patient.terms) * LOG_NOISE if value is None else value
    for both, alone in (("resM", "resK"), ("nbM", "nbK"), ("nbMm", "nbKm")):
        row[place[both]] = row[place[alone]]
    return replace(example, matrix_NF=matrix, stratum="knowledge_only")
