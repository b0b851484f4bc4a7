"""Does the graph score add to the fusion? Development cases, protocol ``papers``, with and without it.

Both fusers see the same candidates and are fitted in the same way to the same train cases out of fold; the one
without has the score's columns taken away. A case whose disease is not among the candidates is a miss for both.

Shape legend: N cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_evaluation.resample import ratio_ci
from doyen_medical.cases import Case, capped
from doyen_medical.evaluate.rankings import MISSED, STRATA, place
from doyen_medical.graph.encoder import Plan
from doyen_medical.graph.folds import graph_of
from doyen_medical.graph.score import NAME
from doyen_medical.knowledge.purge import held_out
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank import train as fusing
from doyen_medical.rank.examples import Example, example, examples, stratum
from doyen_medical.rank.features import Scorer
from doyen_medical.rank.library import build

_LEVELS: Final = {"top1": 1, "top3": 3, "top10": 10}
ARMS: Final = ("without", "with")


def ablation(
    knowledge: Knowledge, train: Sequence[Case], dev: Sequence[Case], folder: Path, *, plan: Plan | None = None,
    fuser: fusing.Plan | None = None, most: int = 10, seeds: Sequence[int] = (0,),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Figures of the score alone and of the fusion without and with it, all with 95 % intervals by paper.

    Embeddings are kept in ``folder`` and used again. ``most``: train cases of one disease and paper that the fusers
    are fitted to.
    """
    plan, fuser = plan or Plan(), fuser or fusing.Plan()
    dev = [case for case in capped(dev) if case.patient.terms]
    extra = graph_of(folder, plan, say)
    annotations = knowledge.annotations.without_papers(held_out)
    library = build(knowledge, annotations, train)
    scores = extra(library, None)
    strata = np.array([stratum(library, case.disease) for case in dev])
    alone_N = np.zeros(len(dev))
    began = time.perf_counter()
    for at, case in enumerate(dev):
        values = scores[NAME](case.patient)
        own = [library.number[case.disease]] if case.disease in library.number else []
        alone_N[at] = place(np.where(library.candidate_D & ~np.isnan(values), values, -np.inf), own)
    seconds = time.perf_counter() - began
    say(f"the score alone: {(alone_N < 1).mean():.3f} of {len(dev)} first")
    scorer = Scorer(library, scores)
    asked = [example(scorer, case) for case in dev]
    say(f"{len(asked)} development examples")
    folded = list(examples(knowledge, capped(train, most), profiles=True, extra=extra))
    say(f"{len(folded)} train examples")
    place_N: dict[str, np.ndarray] = {}
    for arm in ARMS:
        fit = [item if arm == "with" else _without(item) for _, item in folded]
        test = [item if arm == "with" else _without(item) for item in asked]
        # Mean reciprocal ranks and hits are averaged over the fusers' seeds.
        found = []
        for seed in seeds:
            fitted = fusing.fit(fit, fuser, seed)
            found.append([_place(e, fitted.judge(e.matrix_NF, e.query).chance_N) for e in test])
            say(f"fusion {arm} the score, seed {seed}: {(np.array(found[-1]) < 1).mean():.3f} first")
        place_N[arm] = np.array(found)
    of_paper = np.unique([case.paper for case in dev], return_inverse=True)[1]
    parts = {"all": np.ones(len(dev), bool)} | {name: strata == name for name in STRATA}
    return {
        "n": len(dev), "seeds": list(seeds), "plan": vars(plan), "fuser": vars(fuser), "train_cases_a_paper": most,
        "knowledge_version": knowledge.version, "seconds_per_case": round(seconds / max(1, len(dev)), 6),
        "strata": {
            name: {"n": int(at.sum())} | {
                arm: _figures(_hits(places), at, of_paper)
                for arm, places in {"graph_alone": alone_N[None], **place_N}.items()
            } | {"gain": _figures(_gain(place_N), at, of_paper)}
            for name, at in parts.items() if at.any()
        },
    }  # fmt: skip


def _without(item: Example) -> Example:
    kept = [at for at, name in enumerate(item.names) if name not in (NAME, f"{NAME}Has")]
    names = tuple(item.names[at] for at in kept)
    return replace(item, names=names, matrix_NF=np.ascontiguousarray(item.matrix_NF[:, kept]))


def _place(item: Example, chance_N: np.ndarray) -> float:
    return place(chance_N, [item.truth] if item.truth >= 0 else [])


def _hits(places_SN: np.ndarray) -> dict[str, np.ndarray]:
    """Each case's hits and reciprocal rank, mean over seeds."""
    hits = {name: (places_SN < level).mean(0) for name, level in _LEVELS.items()}
    return hits | {"mrr": np.where(places_SN < MISSED, 1 / (1 + places_SN), 0).mean(0)}


def _gain(place_N: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    without, with_it = (_hits(place_N[arm]) for arm in ARMS)
    return {name: with_it[name] - without[name] for name in with_it}


def _figures(hits: dict[str, np.ndarray], at: np.ndarray, of_paper: np.ndarray) -> dict[str, list[float]]:
    """Share and its 95 % interval from draws of whole papers."""
    counts = np.bincount(of_paper, at.astype(float)).astype(np.float64)
    return {
        name: [
            round(float(x), 4)
            for x in (
                hit[at].mean(),
                *(ratio_ci(np.bincount(of_paper, hit * at).astype(np.float64), counts) or ()),
            )
        ]
        for name, hit in hits.items()
    }
