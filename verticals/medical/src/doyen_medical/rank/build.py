"""Train what the ranking ships: the published patients and two fusers, all from the train cases alone.

``ranker`` weighs patients and literature; ``literature`` sees no published patient and is fitted to cases whose paper
HPOA does not cite for their disease. Both are fitted to knowledge without any row of a held-out paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_medical.cases import Case, capped
from doyen_medical.knowledge.purge import held_out, paper_id
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank import fuser as fusers
from doyen_medical.rank import profiles
from doyen_medical.rank.examples import FOLDS, Example, GraphOf, example, examples, fold_of, refuse_held_out
from doyen_medical.rank.features import PATIENT_SCORES, Scorer
from doyen_medical.rank.fuser import Fuser
from doyen_medical.rank.library import build
from doyen_medical.rank.train import Plan, calibrate, cross_fit, fit

RANKER: Final = Plan(literature=0.1)
LITERATURE: Final = Plan(epochs=10, hidden=24, dropout=0.2, weight_decay=1e-2, networks=6, blind_to_kin=3)
SEED: Final = 0
PURGE: Final = (
    "no case and no annotation row of a paper in buckets 12 to 19 of 20 (SHA-256 of PMID:n); each fold without the rows"
    " and patients of its own papers"
)
_OF_PATIENTS: Final = frozenset((*PATIENT_SCORES, "resM", "nbM", "nbMm", "cosTG", "cosTS"))


def train(
    knowledge: Knowledge,
    cases: Sequence[Case],
    out: Path,
    say: Callable[[str], None],
    extra: GraphOf | None = None,
    source: Mapping[str, Any] | None = None,
) -> None:
    """Write ``profiles``, ``ranker`` and ``literature`` (safetensors and JSON) into ``out``, all once all are fitted.

    ``source`` (data file, its digest, the command) goes into each JSON. Takes about five minutes. Raises MED-018.
    """
    cases = [replace(case, paper=paper_id(case.paper)) for case in cases]
    refuse_held_out(cases)
    say(f"{len(cases)} published patients")
    folded = list(examples(knowledge, cases, profiles=True, extra=extra))
    say(f"{len(folded)} examples")
    ranker = fitted(folded, RANKER, knowledge.version)
    say("ranker fitted")
    plain = list(literature_examples(knowledge, cases))
    say(f"{len(plain)} examples of uncited papers")
    literature = fitted(plain, LITERATURE, knowledge.version)
    say("literature fitted")
    facts = dict(source or {}) | {"cases": len(cases), "knowledge": knowledge.version, "purge": PURGE}
    made = {"seed": SEED, "folds": FOLDS}
    out.mkdir(parents=True, exist_ok=True)
    profiles.save(cases, knowledge.ontology, out, facts)
    fusers.save(ranker, out, "ranker", facts | made | {"examples": len(folded), "plan": asdict(RANKER)})
    fusers.save(
        literature, out, "literature", facts | made | {"examples": len(plain), "plan": asdict(LITERATURE)}
    )


def fitted(folded: Sequence[tuple[int, Example]], plan: Plan, trained: str) -> Fuser:
    """A fuser of all examples, calibrated with networks that did not see the fold that they judge."""
    judged = cross_fit(
        folded, replace(plan, networks=max(1, plan.networks // 3), blind_to_kin=plan.blind_to_kin // 3), SEED
    )
    return calibrate(fit([e for _, e in folded], plan, SEED), judged, trained)


def literature_examples(knowledge: Knowledge, cases: Sequence[Case]) -> Iterator[tuple[int, Example]]:
    """Fold and example of the train cases that HPOA does not cite, scored without any published patient."""
    library = build(knowledge, knowledge.annotations.without_papers(held_out))
    scorer = Scorer(library)
    for case in capped(c for c in cases if c.patient.terms and not c.cited and c.disease in library.number):
        yield fold_of(case.paper), _without(example(scorer, case), _OF_PATIENTS)


def _without(example: Example, names: frozenset[str]) -> Example:
    kept = [at for at, name in enumerate(example.names) if name not in names]
    matrix = np.ascontiguousarray(example.matrix_NF[:, kept])
    return replace(example, names=tuple(example.names[at] for at in kept), matrix_NF=matrix)
