"""Published cases as questions to the model: the first candidates of a ranking that never saw the case's paper.

Train cases are ranked out of fold: library and fuser are those of the other folds' papers (``rank.examples``), and
held-out papers are left out always.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_medical.llm.facts import SHOWN, Facts, Finding, Option, Support, facts_of
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_medical.cases import Case
    from doyen_medical.explain.evidence import Explainer
    from doyen_medical.knowledge.store import Knowledge
    from doyen_medical.rank.ranker import Ranker, Ranking


MOST: Final = 1
"""Train cases of one disease and paper that the model is asked about: more of them are alike."""
FITTED: Final = 3
"""Train cases of one disease and paper that the folds' fusers are fitted to."""


@dataclass(frozen=True, slots=True)
class Question:
    """A case's facts, the ranker's probabilities of the candidates shown, and the right one's place among them.

    ``truth`` is -1 where it is none of them; ``place`` is its place in the whole ranking, from 0.
    """

    id: str
    paper: str
    facts: Facts
    chances: tuple[float, ...]
    truth: int
    place: float


def question(case: Case, ranking: Ranking, explainer: Explainer) -> Question:
    """The question that a ranked case makes."""
    from doyen_medical.evaluate.rankings import placed

    library = explainer.library
    shown = min(SHOWN, len(ranking.chances))
    column = library.number.get(case.disease, -1)
    at = np.flatnonzero(ranking.columns[:shown] == column)
    return Question(
        id=case.id, paper=case.paper,
        facts=facts_of(explainer, case.patient, [int(c) for c in ranking.columns[:shown]]),
        chances=tuple(float(chance) for chance in ranking.chances[:shown]),
        truth=int(at[0]) if len(at) else -1,
        place=placed(ranking, [column] if column >= 0 else []),
    )  # fmt: skip


def questions_of(ranker: Ranker, cases: Sequence[Case]) -> Iterator[Question]:
    """A question for each case with a finding and at least two candidates in reach."""
    from doyen_medical.explain.evidence import Explainer

    explainer = Explainer(ranker.library)
    for case in cases:
        if case.patient.terms:
            found = question(case, ranker.rank(case.patient), explainer)
            if len(found.chances) > 1:
                yield found


def train_questions(knowledge: Knowledge, cases: Sequence[Case]) -> Iterator[tuple[int, Question]]:
    """Fold and question of the train cases, one of each disease and paper, ranked out of fold. Raises MED-018.

    A fold's fuser is one network with the shipped one's calibration, which is of held-out folds itself.
    """
    from doyen_medical import weights
    from doyen_medical.cases import capped
    from doyen_medical.rank.build import RANKER, SEED
    from doyen_medical.rank.examples import FOLDS, example, fold_library, fold_of, refuse_held_out
    from doyen_medical.rank.features import Scorer
    from doyen_medical.rank.ranker import Ranker
    from doyen_medical.rank.train import fit

    refuse_held_out(cases)
    shipped = weights.fuser("ranker")
    libraries = [fold_library(knowledge, cases, fold, profiles=True) for fold in range(FOLDS)]
    own = [[c for c in cases if fold_of(c.paper) == fold and c.patient.terms] for fold in range(FOLDS)]
    folded = []
    for library, part in zip(libraries, own, strict=True):
        scorer = Scorer(library)
        folded.append([example(scorer, case) for case in capped(part, FITTED)])
    for fold, (library, part) in enumerate(zip(libraries, own, strict=True)):
        fuser = replace(
            fit([e for f, found in enumerate(folded) if f != fold for e in found], replace(RANKER, networks=1), SEED),
            temperature=shipped.temperature, none_shift=shipped.none_shift,
        )  # fmt: skip
        for found in questions_of(Ranker(library, fuser), capped(part, MOST)):
            yield fold, found


def write_questions(path: Path, questions: Sequence[Question]) -> None:
    """One JSON object a line."""
    lines = (json.dumps(asdict(question)) + "\n" for question in questions)
    path.write_text("".join(lines), encoding="utf-8")


def read_questions(path: Path) -> list[Question]:
    """What ``write_questions`` wrote. Raises MED-110 for a file that is missing or of another format."""
    try:
        return [_question(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DoyenError(
            "MED-110", f"{path.name} holds no questions ({type(error).__name__}).",
            "Write them with doyen medical reasoner records.",
        ) from error  # fmt: skip


def _question(row: dict[str, Any]) -> Question:
    facts = row["facts"]
    options = tuple(
        Option(
            option["code"], option["name"],
            tuple(Support(Finding(**s["finding"]), s["ratio"], tuple(s["sources"])) for s in option["supports"]),
            tuple(Finding(**f) for f in option["lacks"]), tuple(Finding(**f) for f in option["against"]),
        )
        for option in facts["options"]
    )  # fmt: skip
    return Question(
        row["id"], row["paper"],
        Facts(tuple(Finding(**f) for f in facts["findings"]), facts["sex"], facts["age"], options),
        tuple(row["chances"]), row["truth"], row["place"],
    )  # fmt: skip
