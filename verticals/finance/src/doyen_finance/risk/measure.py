"""What the shipped fraud and laundering weights reach on simulated worlds of other seeds and accounts; always marked so."""

from __future__ import annotations

from typing import Any

import numpy as np

from doyen_evaluation.resample import interval
from doyen_finance.risk.aml import AmlModel, transfer_scores
from doyen_finance.risk.aml_patterns import candidates
from doyen_finance.risk.calibration import calibration_error
from doyen_finance.risk.features import features
from doyen_finance.risk.fraud import FraudModel
from doyen_finance.risk.ranking import Ranker
from doyen_finance.risk.simulate_transfers import TYPOLOGIES
from doyen_finance.risk.transactions import Transactions
from doyen_finance.risk.transfers import Transfers
from doyen_finance.risk.weeks import card_precision, split


def measure_fraud(model: FraudModel, data: Transactions) -> dict[str, Any]:
    """Figures on the last week of a simulated world; the floor ranks by amount."""
    rows = split(data).test
    label = data.fraud[rows]
    scores = model.scores(features(data)[rows])
    ours, amount = Ranker(label, scores.score)(), Ranker(label, data.cents[rows].astype(np.float64))()
    cards = card_precision(data.day[rows], data.customer[rows], label, scores.score)
    return {
        "simulated": True, "n": len(rows), "frauds": int(label.sum()),
        "auc": ours and ours.auc, "ap": ours and ours.ap, "cp_at_100": float(np.mean(list(cards.values()))),
        "ece": calibration_error(label, scores.risk),
        "floor_amount_auc": amount and amount.auc, "floor_amount_ap": amount and amount.ap,
    }  # fmt: skip


def measure_aml(model: AmlModel, data: Transfers, *, draws: int = 200, seed: int = 0) -> dict[str, Any]:
    """By typology, average precision over transfers of the typology against honest ones; the floor ranks by amount.

    Intervals over drawn source accounts. Transfers of other typologies are left out.
    """
    if data.typology is None:
        return {"simulated": True, "reason": "no labels"}
    found, _ = candidates(data)
    by_typology = transfer_scores(data, found, model.scores(found))
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {"simulated": True, "n": len(data), "accounts": len(data.accounts)}
    for typology in TYPOLOGIES:
        kept = (data.typology == typology) | (data.typology == "")
        label = (data.typology[kept] == typology).astype(np.int64)
        score, amount, source = by_typology[typology][kept], data.amount[kept], data.source[kept]
        rank = Ranker(label, score)
        ours, floor = rank(), Ranker(label, amount)()
        again = []
        for _ in range(draws):
            weight = rng.multinomial(len(data.accounts), np.full(len(data.accounts), 1 / len(data.accounts)))
            drawn = rank(weight[source].astype(np.float64))
            again.append(np.nan if drawn is None else drawn.ap)
        result[typology] = {
            "pr_auc": ours and ours.ap, "ci95": interval(np.array(again)), "transfers": int(label.sum()),
            "floor_amount_pr_auc": floor and floor.ap, "share": float(label.mean()),
        }  # fmt: skip
    return result
