"""Card fraud by time: trained on one week of the file, tested on the week after the next, beside a random forest.

The split, the removal of known compromised cards and card precision are the Fraud Detection Handbook's
(``doyen_finance.risk.weeks``). The model is fitted in the run; its weights are not kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_evaluation.resample import interval
from doyen_finance.risk.calibration import calibration_error
from doyen_finance.risk.features import features
from doyen_finance.risk.fraud import ALERT_RISK, Scores, fit_fraud
from doyen_finance.risk.ranking import Ranker
from doyen_finance.risk.transactions import Transactions, read_transactions
from doyen_finance.risk.weeks import WEEK, Weeks, card_precision, split
from doyen_finance.risk.windows import DAY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEED: Final = 0
TOP: Final = 100
DRAWS: Final = 500
_SHORT: Final = DAY
_ENOUGH_HISTORY: Final = 2 * WEEK
"""Days before the training week from which its rows see enough confirmed frauds of their terminals."""


class Run(NamedTuple):
    """What one file gave: the weeks, our scores of the test rows and those of the forest."""

    data: Transactions
    weeks: Weeks
    ours: Scores
    forest: Floats
    history: int


def evaluate_file(data: Path, limit: int | None = None, *, seed: int = SEED) -> dict[str, Any]:
    """Figures of the last week of a transactions file; ``limit`` reads as the number of days kept at its end.

    Raises FIN-070 to FIN-074.
    """
    transactions = read_transactions(data)
    if limit is not None:
        transactions = transactions.rows(transactions.day > transactions.day[-1] - limit)
    return figures(train_and_score(transactions, seed=seed))


def train_and_score(data: Transactions, *, seed: int = SEED) -> Run:
    """Fit on the training week, score the test week. Raises FIN-074."""
    from sklearn.ensemble import RandomForestClassifier

    weeks = split(data)
    x_NF = features(data).astype(np.float32)
    rows, train = x_NF[weeks.train], weeks.train
    history = int(data.day[train[0]] - data.day[0])
    if history < _ENOUGH_HISTORY:
        # In a short file no fraud is a week old during the training week, so nothing would be learnt about terminals.
        # By the test week the labels of the training week are known, so its rows are seen a second time with frauds
        # confirmed after a day. Rows of the test keep the full delay.
        rows = np.concatenate([rows, features(data, _SHORT).astype(np.float32)[train]])
        train = np.concatenate([train, train])
    scenario = None if data.scenario is None else data.scenario[train]
    ours = fit_fraud(rows, data.fraud[train], scenario, seed=seed).scores(x_NF[weeks.test])
    forest = RandomForestClassifier(100, random_state=seed).fit(rows, data.fraud[train])
    return Run(data, weeks, ours, forest.predict_proba(x_NF[weeks.test])[:, 1], history)


def figures(run: Run, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """All figures with intervals over drawn cards; a figure that a missing class leaves undefined is null."""
    data, test = run.data, run.weeks.test
    fraud, day, card = data.fraud[test], data.day[test], data.customer[test]
    days = len(np.unique(day))
    result: dict[str, Any] = {
        "n": len(test), "frauds": int(fraud.sum()), "train_n": len(run.weeks.train), "history_days": run.history,
        "removed_known_cards_rows": run.weeks.removed, "seed": seed,
        "train_rows_repeated_with_short_delay": run.history < _ENOUGH_HISTORY, "flags": list(data.flags),
    }  # fmt: skip
    ours, floor = Ranker(fraud, run.ours.score)(), Ranker(fraud, run.forest)()
    if ours is None or floor is None:
        result["reason"] = "the test week lacks a class, so that no ranking can be judged"
        return result | dict.fromkeys(
            ("auc", "ap", "cp_at_100", "ece", "alerts_per_day", "rf_auc", "rf_ap", "rf_cp_at_100")
        )
    cards = {
        name: card_precision(day, card, fraud, score, TOP)
        for name, score in (("", run.ours.score), ("rf_", run.forest))
    }
    alarm = run.ours.risk >= ALERT_RISK
    result |= {
        "auc": ours[0], "ap": ours[1], "cp_at_100": float(np.mean(list(cards[""].values()))),
        "ece": calibration_error(fraud, run.ours.risk), "alerts_per_day": float(alarm.sum() / days),
        "alert_risk": ALERT_RISK,
        "alert_precision": float(fraud[alarm].mean()) if alarm.any() else None,
        "alert_recall": float(fraud[alarm].sum() / fraud.sum()),
        "rf_auc": floor[0], "rf_ap": floor[1], "rf_cp_at_100": float(np.mean(list(cards["rf_"].values()))),
        "floor": {"random_scores_auc": 0.5, "random_scores_ap": float(fraud.mean())},
    }  # fmt: skip
    if data.scenario is not None:
        named = data.scenario[test] > 0
        right = run.ours.scenario[named].argmax(1) + 1 == data.scenario[test][named]
        result["scenario_accuracy"] = float(right.mean()) if named.any() else None
        result["recall_by_scenario"] = {
            str(number): float(alarm[data.scenario[test] == number].mean())
            for number in (1, 2, 3)
            if (data.scenario[test] == number).any()
        }
    difference, ci = _bootstrap(run, fraud, card, draws, seed)
    result["cp_difference_by_day"] = [round(cards[""][d] - cards["rf_"][d], 4) for d in cards[""]]
    return result | {"minus_rf": difference, "ci95": ci}


def _bootstrap(
    run: Run, fraud: Ints, card: Ints, draws: int, seed: int
) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """Intervals over cards drawn with replacement, the same draws for both models (paired)."""
    rng = np.random.default_rng(seed)
    rank_ours, rank_forest = Ranker(fraud, run.ours.score), Ranker(fraud, run.forest)
    _, code = np.unique(card, return_inverse=True)
    count = int(code.max()) + 1
    drawn: dict[str, list[float]] = {"auc": [], "ap": [], "rf_auc": [], "rf_ap": []}
    for _ in range(draws):
        weight = rng.multinomial(count, np.full(count, 1 / count))[code].astype(np.float64)
        ours, floor = rank_ours(weight), rank_forest(weight)
        if ours is not None and floor is not None:
            for name, value in zip(drawn, (*ours, *floor), strict=True):
                drawn[name].append(value)
    arrays = {name: np.array(values) for name, values in drawn.items()}
    difference = {
        name: {"mean": float((arrays[name] - arrays[f"rf_{name}"]).mean()),
               "ci95": interval(arrays[name] - arrays[f"rf_{name}"])}
        for name in ("auc", "ap")
    }  # fmt: skip
    bounds = {name: interval(values) for name, values in arrays.items()}
    return difference, {name: found for name, found in bounds.items() if found is not None}
