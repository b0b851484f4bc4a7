"""Default of credit card clients: the shipped model on the file's rows, a logistic regression beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_evaluation.resample import interval
from doyen_finance import weights
from doyen_finance.risk.calibration import calibration_error
from doyen_finance.risk.clients import PROTECTED, Clients, read_clients
from doyen_finance.risk.credit import CreditModel, load_credit
from doyen_finance.risk.ranking import Ranker
from doyen_schemas import DoyenError

DRAWS: Final = 1000
SEED: Final = 0


def evaluate_file(data: Path, limit: int | None = None) -> dict[str, Any]:
    """Figures of the shipped model; rows that it was trained on are counted and scored by the fold that held them out.

    Raises FIN-070 to FIN-073, FIN-075, FIN-076 (no labels).
    """
    return figures(read_clients(data), load_credit(weights.part("risk")), limit)


def figures(clients: Clients, model: CreditModel, limit: int | None = None) -> dict[str, Any]:
    """AUC with intervals over drawn clients, and calibration; null, with a reason, where a class is absent."""
    if clients.label is None:
        raise DoyenError("FIN-076", "the file has no column Default.", "Evaluation needs labels.")
    rows = slice(0, limit)
    label = clients.label[rows]
    scores = model.scores(clients.x_NF[rows], clients.digests[rows])
    result: dict[str, Any] = {
        "n": len(label), "defaults": int(label.sum()), "seen_rows": int(scores.seen.sum()),
        "seen_rows_scored_by": "the fold that held them out", "seed": SEED, "flags": list(clients.flags),
        "ece": calibration_error(label, scores.risk),
    }  # fmt: skip
    rank_ours, rank_floor = Ranker(label, scores.score), Ranker(label, scores.floor)
    ours, floor = rank_ours(), rank_floor()
    if ours is None or floor is None:
        result["reason"] = "the file lacks a class, so that no ranking can be judged"
        return result | {"auc": None, "floor": None, "ci95": {}}
    rng = np.random.default_rng(SEED)
    drawn: dict[str, list[float]] = {"auc": [], "minus_floor_auc": []}
    for _ in range(DRAWS):
        picked = rng.integers(len(label), size=len(label))
        weight = np.bincount(picked, minlength=len(label)).astype(np.float64)
        again, beside = rank_ours(weight), rank_floor(weight)
        if again is not None and beside is not None:
            drawn["auc"].append(again.auc)
            drawn["minus_floor_auc"].append(again.auc - beside.auc)
    result |= {
        "auc": ours.auc, "ap": ours.ap, "floor": {"logistic_regression_auc": floor.auc, "majority_auc": 0.5},
        "minus_floor_auc": ours.auc - floor.auc,
    }  # fmt: skip
    if clients.protected is not None:
        result["by_sex"] = _by_sex(
            clients.protected[rows, PROTECTED.index("SEX")], label, scores.score, scores.risk
        )
    bounds = {name: interval(np.array(values)) for name, values in drawn.items()}
    return result | {"ci95": {name: found for name, found in bounds.items() if found is not None}}


def _by_sex(
    sex: np.ndarray, label: np.ndarray, score: np.ndarray, risk: np.ndarray
) -> dict[str, dict[str, float | int | None]]:
    """The model does not know the sex; this shows whether it errs more for one."""
    found: dict[str, dict[str, float | int | None]] = {}
    for value in np.unique(sex):
        at = sex == value
        judged = Ranker(label[at], score[at])()
        found[str(int(value))] = {
            "n": int(at.sum()), "auc": None if judged is None else judged.auc,
            "default_rate": float(label[at].mean()), "mean_risk": float(risk[at].mean()),
        }  # fmt: skip
    return found
