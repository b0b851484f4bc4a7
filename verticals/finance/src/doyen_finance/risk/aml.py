"""Laundering alerts: candidates of four typologies scored by boosted trees, each alert with its accounts, sums and hops.

Trained and measured on simulated transfers only. Shape legend: N transfers, C candidates, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk import stored
from doyen_finance.risk.aml_patterns import FEATURES, Candidate, candidates
from doyen_finance.risk.simulate_transfers import TYPOLOGIES
from doyen_finance.risk.transfers import Transfers
from doyen_finance.risk.trees import Trees, from_boosting
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]

ALERT_SCORE: Final = 0.5
_HALF: Final = 0.5
"""A candidate is a true pattern when half of its transfers are labelled with its typology."""
_SHOWN: Final = 50


class Hop(NamedTuple):
    """One transfer of a pattern."""

    transfer: str
    time: str
    source: str
    target: str
    amount: float


class AmlAlert(NamedTuple):
    """A suspected pattern; at most 50 hops are listed, ``transfers`` counts all."""

    typology: str
    score: float
    account: str
    accounts: int
    transfers: int
    total: float
    reasons: tuple[str, ...]
    hops: tuple[Hop, ...]


@dataclass(frozen=True)
class AmlModel:
    """Boosted trees and their starting log-odds by typology."""

    trees: dict[str, Trees]
    starts: dict[str, float]
    trained: dict[str, Any]

    def scores(self, found: Sequence[Candidate]) -> Floats:
        """How likely each candidate is a pattern of its typology, (C,)."""
        score = np.zeros(len(found))
        for typology, trees in self.trees.items():
            at = [number for number, candidate in enumerate(found) if candidate.typology == typology]
            if at:
                x_CF = np.array([found[number].features for number in at], np.float32)
                score[at] = 1 / (1 + np.exp(-(self.starts[typology] + trees.total(x_CF))))
        return score

    def save(self, folder: Path) -> None:
        """``aml.safetensors`` and ``aml.json``."""
        tensors: dict[str, NDArray[Any]] = {}
        for typology, trees in self.trees.items():
            tensors |= trees.tensors(typology) | {f"{typology}.start": np.array([self.starts[typology]])}
        stored.write(folder, "aml", tensors, FEATURES, self.trained)


def load_aml(folder: Path) -> AmlModel:
    """Raises FIN-075 (weights incomplete or of other features)."""
    tensors, config = stored.read(folder, "aml", FEATURES)
    return AmlModel(
        {typology: Trees.load(tensors, typology, len(FEATURES)) for typology in TYPOLOGIES},
        {typology: float(tensors[f"{typology}.start"][0]) for typology in TYPOLOGIES},
        config,
    )


def fit_aml(worlds: Sequence[Transfers], *, seed: int, trained: dict[str, Any] | None = None) -> AmlModel:
    """One set of small trees a typology, on the candidates of all worlds. Raises FIN-074 (a typology has no example)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    found = [
        (candidate, is_pattern(candidate, world)) for world in worlds for candidate in candidates(world)[0]
    ]
    trees, starts = {}, {}
    for typology in TYPOLOGIES:
        own = [(candidate.features, label) for candidate, label in found if candidate.typology == typology]
        label_C = np.array([label for _, label in own], np.int64)
        if not 0 < label_C.sum() < len(label_C):
            raise DoyenError(
                "FIN-074", f"{typology} has candidates of one class only.", "Train on more transfers."
            )
        model = HistGradientBoostingClassifier(
            learning_rate=0.08, max_iter=80, max_leaf_nodes=8, min_samples_leaf=8, l2_regularization=3.0,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        trees[typology], starts[typology] = from_boosting(
            model.fit(np.array([features for features, _ in own], np.float32), label_C)
        )
    return AmlModel(trees, starts, trained or {})


def is_pattern(candidate: Candidate, data: Transfers) -> bool:
    """Whether at least half of the candidate's transfers carry its typology; False without labels."""
    if data.typology is None:
        return False
    return bool((data.typology[candidate.transfers] == candidate.typology).mean() >= _HALF)


def transfer_scores(data: Transfers, found: Sequence[Candidate], score_C: Floats) -> dict[str, Floats]:
    """By typology, each transfer's highest score among the candidates that hold it, 0 where none does, (N,)."""
    by_typology = {typology: np.zeros(len(data)) for typology in TYPOLOGIES}
    for candidate, score in zip(found, score_C, strict=True):
        held = by_typology[candidate.typology]
        held[candidate.transfers] = np.maximum(held[candidate.transfers], score)
    return by_typology


def aml_alerts(
    data: Transfers, model: AmlModel, least: float = ALERT_SCORE
) -> tuple[list[AmlAlert], list[str]]:
    """Patterns that score at least ``least``, the strongest first, without those whose transfers a stronger one holds.

    The second value says what the search left out.
    """
    found, stopped = candidates(data)
    score = model.scores(found)
    taken: set[int] = set()
    alerts = []
    for at in np.argsort(-score, kind="stable"):
        if score[at] < least:
            break
        rows = found[at].transfers
        if len(taken.intersection(rows.tolist())) > _HALF * len(rows):
            continue
        taken.update(rows.tolist())
        alerts.append(_alert(data, found[at], float(score[at])))
    return alerts, ["the search for cycles stopped at its limit"] if stopped else []


def _alert(data: Transfers, candidate: Candidate, score: float) -> AmlAlert:
    rows = candidate.transfers[np.argsort(data.seconds[candidate.transfers], kind="stable")]
    ends = np.unique(np.concatenate([data.source[rows], data.target[rows]]))
    hops = tuple(
        Hop(
            str(data.ids[row]),
            str(np.datetime64(int(data.seconds[row]), "s")),
            str(data.accounts[data.source[row]]),
            str(data.accounts[data.target[row]]),
            float(data.amount[row]),
        )
        for row in rows[:_SHOWN]
    )
    total = round(float(data.amount[rows].sum()), 2)
    account = str(data.accounts[candidate.hub])
    return AmlAlert(
        candidate.typology,
        round(score, 4),
        account,
        len(ends),
        len(rows),
        total,
        _reasons(data, candidate),
        hops,
    )


def _reasons(data: Transfers, candidate: Candidate) -> tuple[str, ...]:
    of = dict(zip(FEATURES, candidate.features, strict=True))
    hub, rows = str(data.accounts[candidate.hub]), candidate.transfers
    largest = f"{data.amount[rows].min():,.2f} to {data.amount[rows].max():,.2f}"
    if candidate.typology == "cycle":
        said = [f"{len(rows)} transfers lead from {hub} back to {hub} in {of['span_days']:.1f} days"]
        said.append(f"each hop passes on {of['least_kept']:.0%} or more of the one before ({largest})")
    elif candidate.typology == "scatter_gather":
        to = str(data.accounts[data.target[rows[np.argmax(data.seconds[rows])]]])
        said = [
            f"{hub} pays {of['accounts']:.0f} accounts that all pay {to} within {of['span_days']:.1f} days"
        ]
        said.append(f"they pass on {of['passed_on']:.0%} on average ({largest})")
    else:
        way = "pay into" if candidate.typology == "fan_in" else "are paid by"
        said = [f"{of['accounts']:.0f} accounts {way} {hub} within {of['span_days']:.1f} days ({largest})"]
        if of["passed_on"] >= 0.5:
            when = (
                "leaves within three days"
                if candidate.typology == "fan_in"
                else "had come in within three days"
            )
            said.append(f"{of['passed_on']:.0%} of the sum {when}")
    if of["near_limit"] >= 0.3:
        said.append(f"{of['near_limit']:.0%} of the sums lie between 8,000 and 10,000")
    if of["new_pairs"] >= 0.5:
        said.append(f"{of['new_pairs']:.0%} of the payers and payees deal with each other only here")
    return tuple(said)
