"""The fraud score: forest, boosted trees and a two-headed network together; calibrated risk, scenario, reasons, alerts.

Shape legend: N transactions, F features, S scenarios.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk import stored
from doyen_finance.risk.calibration import Calibration, fit_isotonic, log_odds
from doyen_finance.risk.features import DAYS, GROUPS, NAMES
from doyen_finance.risk.network import Network, fit_network
from doyen_finance.risk.transactions import Transactions
from doyen_finance.risk.trees import Trees, from_boosting, from_forest
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCENARIO_NAMES: Final = ("amount", "terminal", "card")
ALERT_RISK: Final = 0.5
_SHARES: Final = {"forest": 0.8, "boosted": 0.1, "network": 0.1}
"""Of the log-odds; chosen on test weeks that end earlier than the reported one."""
_FOLDS: Final = 3
_REASONS: Final = 3
_AT: Final = {name: number for number, name in enumerate(NAMES)}


class Scores(NamedTuple):
    """``score`` ranks (mean log-odds), ``risk`` is its calibrated probability, both (N,); ``scenario`` (N, S)."""

    score: Floats
    risk: Floats
    scenario: Floats


class Reason(NamedTuple):
    """A group of features, what it says in words, and how much of the log-odds it adds."""

    code: str
    text: str
    contribution: float


class Alert(NamedTuple):
    """One transaction to look at."""

    transaction: str
    time: str
    card: str
    terminal: str
    amount: float
    risk: float
    scenario: str
    scenario_probability: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class FraudModel:
    """``reference`` holds the median of each feature over honest training rows, (F,)."""

    forest: Trees
    boosted: Trees
    boosted_start: float
    network: Network
    calibration: Calibration
    reference: Floats
    trained: dict[str, Any]

    def scores(self, x_NF: NDArray[Any]) -> Scores:
        """Score, risk and scenario of each row."""
        x_NF = np.asarray(x_NF, np.float32)
        network, scenario = self.network.outputs(x_NF)
        boosted = 1 / (1 + np.exp(-(self.boosted_start + self.boosted.total(x_NF))))
        score = _blend(self.forest.mean(x_NF), boosted, network)
        return Scores(score, self.calibration(score), scenario)

    def contributions(self, x_NF: Floats) -> dict[str, Floats]:
        """By group, the log-odds that a row loses when the group is set to what is usual (occlusion), (N,) each.

        Usual is the card's own mean of 30 days for amounts, the median of honest payments for the rest.
        """
        full = self.scores(x_NF).score
        found = {}
        for group, names in GROUPS.items():
            usual = x_NF.copy()
            for name in names:
                usual[:, _AT[name]] = self.reference[_AT[name]]
            own = x_NF[:, _AT["customer_mean_amount_30d"]]
            if group == "amount":
                ratio = np.maximum(x_NF[:, _AT["amount_to_mean_30d"]], 0.01)
                usual[:, _AT["amount"]] = np.minimum(x_NF[:, _AT["amount"]] / ratio, own)
                usual[:, _AT["amount_to_mean_30d"]] = 1.0
            if group == "card_activity":
                for days in DAYS:
                    usual[:, _AT[f"customer_mean_amount_{days}d"]] = own
            found[group] = full - self.scores(usual).score
        return found

    def save(self, folder: Path) -> None:
        """``fraud.safetensors`` and ``fraud.json``."""
        tensors = {
            **self.forest.tensors("forest"), **self.boosted.tensors("boosted"), **self.network.tensors(),
            **self.calibration.tensors(), "reference": self.reference,
            "boosted_start": np.array([self.boosted_start]),
        }  # fmt: skip
        stored.write(folder, "fraud", tensors, NAMES, self.trained)


def load_fraud(folder: Path) -> FraudModel:
    """Raises FIN-075 (weights incomplete or of other features)."""
    tensors, config = stored.read(folder, "fraud", NAMES)
    return FraudModel(
        Trees.load(tensors, "forest", len(NAMES)),
        Trees.load(tensors, "boosted", len(NAMES)),
        float(tensors["boosted_start"][0]),
        Network.load(tensors, len(NAMES)),
        Calibration(tensors["calibration.score"], tensors["calibration.probability"]),
        tensors["reference"],
        config,
    )


def fit_fraud(
    x_NF: NDArray[Any],
    fraud_N: Ints,
    scenario_N: Ints | None,
    *,
    seed: int,
    trees: int = 100,
    leaf: int = 3,
    trained: dict[str, Any] | None = None,
) -> FraudModel:
    """Fit the three parts and calibrate on scores of rows that they did not see (out of bag, out of fold).

    Raises FIN-074 (under ten frauds or honest rows: nothing to learn).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold

    least = int(min(fraud_N.sum(), (1 - fraud_N).sum()))
    if least < 10:
        raise DoyenError(
            "FIN-074",
            f"the rarer class has {least} training rows, not at least 10.",
            "Give a file with both.",
        )
    x_NF = np.asarray(x_NF, np.float32)
    forest = RandomForestClassifier(trees, min_samples_leaf=leaf, random_state=seed, oob_score=True)
    with warnings.catch_warnings():
        # With few trees some rows are never out of bag; they count with the base rate below.
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB scores")
        forest.fit(x_NF, fraud_N)

    def boosting() -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=150, max_leaf_nodes=31, min_samples_leaf=5, l2_regularization=1.0,
            max_features=0.3, early_stopping=False, random_state=seed,
        )  # fmt: skip

    held = {name: np.zeros(len(x_NF)) for name in ("boosted", "network")}
    for fitted, left in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(x_NF, fraud_N):
        named = None if scenario_N is None else scenario_N[fitted]
        held["boosted"][left] = boosting().fit(x_NF[fitted], fraud_N[fitted]).predict_proba(x_NF[left])[:, 1]
        held["network"][left] = fit_network(x_NF[fitted], fraud_N[fitted], named, seed).outputs(x_NF[left])[0]
    out_of_bag = np.nan_to_num(forest.oob_decision_function_[:, 1], nan=float(fraud_N.mean()))
    calibration = fit_isotonic(_blend(out_of_bag, held["boosted"], held["network"]), fraud_N)
    boosted, start = from_boosting(boosting().fit(x_NF, fraud_N))
    return FraudModel(
        forest=from_forest(forest),
        boosted=boosted,
        boosted_start=start,
        network=fit_network(x_NF, fraud_N, scenario_N, seed),
        calibration=calibration,
        reference=np.median(x_NF[fraud_N == 0], axis=0).astype(np.float64),
        trained=trained or {},
    )


def alerts(data: Transactions, x_NF: Floats, scores: Scores, model: FraudModel, budget: int) -> list[Alert]:
    """Of each day the ``budget`` cards of highest score, by their most suspicious payment, highest first."""
    order = np.lexsort((-scores.score, data.day))
    _, first = np.unique(data.day[order] * len(data.customers) + data.customer[order], return_index=True)
    first = np.sort(first)
    day = data.day[order[first]]
    rank = np.arange(len(first)) - np.searchsorted(day, day)
    rows = order[first[rank < budget]]
    contributions = model.contributions(x_NF[rows])
    return [
        Alert(
            transaction=str(data.ids[row]),
            time=str(np.datetime64(int(data.seconds[row]), "s")),
            card=str(data.customers[data.customer[row]]),
            terminal=str(data.terminals[data.terminal[row]]),
            amount=float(data.cents[row]) / 100,
            risk=round(float(scores.risk[row]), 4),
            scenario=SCENARIO_NAMES[int(scores.scenario[row].argmax())],
            scenario_probability=round(float(scores.scenario[row].max()), 3),
            reasons=_reasons(x_NF[row], {group: float(given[at]) for group, given in contributions.items()}),
        )
        for at, row in enumerate(rows)
    ]


def _reasons(x_F: Floats, contributions: dict[str, float]) -> tuple[Reason, ...]:
    ranked = sorted(contributions.items(), key=lambda item: -item[1])[:_REASONS]
    return tuple(
        Reason(group, _words(group, x_F), round(value, 3)) for group, value in ranked if value > 0.05
    )


def _words(group: str, x_F: Floats) -> str:
    def of(name: str) -> float:
        return float(x_F[_AT[name]])

    if group == "amount":
        ratio = of("amount_to_mean_30d")
        beside = f"{ratio:.1f} times the mean of the card's other payments in 30 days"
        return f"amount {of('amount'):.2f}" + (f", {beside}" if ratio >= 1.5 else ", high among all payments")
    if group == "terminal_frauds":
        if of("terminal_since_fraud") >= 60:
            return "no fraud was confirmed at the terminal in the last 60 days"
        return (
            f"{of('terminal_risk_30d'):.0%} of the terminal's payments in the 30 days up to a week ago were confirmed "
            f"frauds; the latest was confirmed {of('terminal_since_fraud'):.1f} days ago"
        )
    if group == "card_activity":
        high = int(of("customer_high_14d"))
        paid = f"{of('customer_count_1d'):.0f} payments of the card in a day, {of('customer_count_7d'):.0f} in a week"
        return paid + (f"; {high} far above its mean in 14 days" if high else "")
    if group == "terminal_activity":
        return f"the terminal took {of('terminal_count_7d'):.0f} payments in the week before last"
    return "at night" if of("night") else "at the weekend" if of("weekend") else "by day in the week"


def _blend(forest: Floats, boosted: Floats, network: Floats) -> Floats:
    return (
        _SHARES["forest"] * log_odds(forest)
        + _SHARES["boosted"] * log_odds(boosted)
        + _SHARES["network"] * log_odds(network)
    )
