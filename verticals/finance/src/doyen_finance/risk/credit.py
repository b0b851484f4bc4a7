"""The default score: monotone boosted trees of five folds, calibrated, with reasons in the manner of adverse action.

A client that was trained on is scored by the one model that did not see it, any other by the mean of all: a figure on the
training file is a cross-validation. Shape legend: N clients, F features, K folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk import stored
from doyen_finance.risk.calibration import Calibration, fit_isotonic
from doyen_finance.risk.clients import FEATURES, MONTHS, Clients
from doyen_finance.risk.fraud import Reason
from doyen_finance.risk.trees import Trees, from_boosting
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS: Final = 5
_REASONS: Final = 4
"""Regulation B (12 CFR 1002.9) holds that more than four reasons do not help the applicant."""
_NAMES: Final = tuple(FEATURES)
_AT: Final = {name: number for number, name in enumerate(_NAMES)}
GROUPS: Final = {
    "repayment_delay": tuple(name for name in _NAMES if "late" in name),
    "use_of_limit": tuple(name for name in _NAMES if "used" in name),
    "payments": tuple(name for name in _NAMES if "paid" in name),
    "limit": ("limit", "bill"),
}


class CreditScores(NamedTuple):
    """Log-odds, calibrated probability of default next month, the floor's log-odds, and whether trained on, (N,)."""

    score: Floats
    risk: Floats
    floor: Floats
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class CreditModel:
    """``calibrations`` has one of each fold (from the other folds' rows) and last the one of all rows.

    Attributes:
        trees, starts: the boosted trees of each fold and the log-odds that they start from.
        floor_KF: a logistic regression of each fold, weights and last the bias, (K, F + 1).
        reference: the median of each feature over clients who paid, (F,).
        digests, folds: training rows and the fold that held them out, in order of digest.
    """

    trees: tuple[Trees, ...]
    starts: Floats
    calibrations: tuple[Calibration, ...]
    floor_KF: Floats
    reference: Floats
    digests: NDArray[np.uint64]
    folds: NDArray[np.uint8]
    trained: dict[str, Any]

    def fold_of(self, digests: NDArray[np.uint64]) -> Ints:
        """The fold that held a training row out; -1 for a row that was not trained on, (N,)."""
        if not len(self.digests):
            return np.full(len(digests), -1, np.int64)
        at = np.minimum(np.searchsorted(self.digests, digests), len(self.digests) - 1)
        return np.where(self.digests[at] == digests, self.folds[at].astype(np.int64), -1)

    def scores(self, x_NF: Floats, digests: NDArray[np.uint64]) -> CreditScores:
        """Score, risk and floor of each client."""
        fold = self.fold_of(digests)
        x_NF = x_NF.astype(np.float32)
        ours_KN = np.stack(
            [start + trees.total(x_NF) for trees, start in zip(self.trees, self.starts, strict=True)]
        )
        floor_KN = self.floor_KF[:, :-1] @ _squashed(x_NF).T + self.floor_KF[:, -1:]
        rows = np.arange(len(fold))
        score = np.where(fold < 0, ours_KN.mean(0), ours_KN[fold, rows])
        floor = np.where(fold < 0, floor_KN.mean(0), floor_KN[fold, rows])
        risk = self.calibrations[-1](score)
        for number in range(len(self.trees)):
            held = fold == number
            risk[held] = self.calibrations[number](score[held])
        return CreditScores(score, risk, floor, fold >= 0)

    def reasons(self, x_NF: Floats, digests: NDArray[np.uint64]) -> list[tuple[Reason, ...]]:
        """Of each client at most four reasons that raise the risk, the strongest first (occlusion by group)."""
        full = self.scores(x_NF, digests).score
        given = {}
        for group, names in GROUPS.items():
            usual = x_NF.copy()
            columns = [_AT[name] for name in names]
            usual[:, columns] = self.reference[columns]
            given[group] = full - self.scores(usual, digests).score
        found = []
        for row, x_F in enumerate(x_NF):
            ranked = sorted(((float(value[row]), group) for group, value in given.items()), reverse=True)
            found.append(
                tuple(
                    Reason(group, _words(group, x_F), round(v, 3))
                    for v, group in ranked[:_REASONS]
                    if v > 0.02
                )
            )
        return found

    def save(self, folder: Path) -> None:
        """``credit.safetensors`` and ``credit.json``."""
        tensors: dict[str, NDArray[Any]] = {
            "starts": self.starts, "floor": self.floor_KF, "reference": self.reference,
            "digests": self.digests, "folds": self.folds,
        }  # fmt: skip
        for number, trees in enumerate(self.trees):
            tensors |= trees.tensors(f"trees{number}")
        for number, calibration in enumerate(self.calibrations):
            tensors |= {f"{name}{number}": array for name, array in calibration.tensors().items()}
        stored.write(folder, "credit", tensors, _NAMES, self.trained)


def load_credit(folder: Path) -> CreditModel:
    """Raises FIN-075 (weights incomplete or of other features)."""
    tensors, config = stored.read(folder, "credit", _NAMES)
    count = len(tensors["starts"])
    return CreditModel(
        tuple(Trees.load(tensors, f"trees{number}", len(_NAMES)) for number in range(count)),
        tensors["starts"],
        tuple(
            Calibration(tensors[f"calibration.score{number}"], tensors[f"calibration.probability{number}"])
            for number in range(count + 1)
        ),
        tensors["floor"],
        tensors["reference"],
        tensors["digests"],
        tensors["folds"],
        config,
    )


def fit_credit(clients: Clients, *, seed: int, trained: dict[str, Any] | None = None) -> CreditModel:
    """Five monotone models, each without one fold. Raises FIN-074 (no labels, or under ten of a class)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    label = clients.label
    least = 0 if label is None else int(min(label.sum(), (1 - label).sum()))
    if label is None or least < 10:
        raise DoyenError(
            "FIN-074",
            f"the rarer class has {least} training rows, not at least 10.",
            "Give a file with both.",
        )
    x_NF, squashed = clients.x_NF.astype(np.float32), _squashed(clients.x_NF)
    fold, held = np.zeros(len(x_NF), np.uint8), np.zeros(len(x_NF))
    trees, starts, floors = [], [], []
    for number, (rest, left) in enumerate(
        StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x_NF, label)
    ):
        fold[left] = number
        fitted, start = from_boosting(boosting(list(FEATURES.values()), seed).fit(x_NF[rest], label[rest]))
        mean, scale = squashed[rest].mean(0), squashed[rest].std(0) + 1e-9
        line = LogisticRegression(max_iter=2000).fit((squashed[rest] - mean) / scale, label[rest])
        weight = line.coef_[0] / scale
        floors.append(np.append(weight, line.intercept_[0] - weight @ mean))
        held[left] = start + fitted.total(x_NF[left])
        trees.append(fitted)
        starts.append(start)
    calibrations = [fit_isotonic(held[fold != number], label[fold != number]) for number in range(FOLDS)]
    order = np.argsort(clients.digests)
    return CreditModel(
        trees=tuple(trees),
        starts=np.array(starts),
        calibrations=(*calibrations, fit_isotonic(held, label)),
        floor_KF=np.stack(floors),
        reference=np.median(x_NF[label == 0], axis=0).astype(np.float64),
        digests=clients.digests[order],
        folds=fold[order],
        trained=trained or {},
    )


def boosting(monotone: list[int], seed: int) -> Any:
    """The boosted trees of one fold, monotone where a direction is given."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.04, max_iter=180, max_leaf_nodes=12, min_samples_leaf=60, l2_regularization=20.0,
        max_features=0.4, monotonic_cst=monotone, early_stopping=False, random_state=seed,
    )  # fmt: skip


def _squashed(x_NF: NDArray[Any]) -> Floats:
    """Signed logarithms, on which a line does better than on amounts."""
    x_NF = np.asarray(x_NF, np.float64)
    return np.sign(x_NF) * np.log1p(np.abs(x_NF))


def _words(group: str, x_F: Floats) -> str:
    def of(name: str) -> float:
        return float(x_F[_AT[name]])

    if group == "repayment_delay":
        now = max(of("late_1"), 0)
        return f"repayment is {now:.0f} months behind; late in {of('months_late'):.0f} of {MONTHS} months"
    if group == "use_of_limit":
        return (
            f"{of('used_1'):.0%} of the limit is used, {of('mean_used'):.0%} on average over {MONTHS} months"
        )
    if group == "payments":
        return (
            f"payments of {of('mean_paid'):,.0f} a month on average, {of('paid_1'):,.0f} in the latest month"
        )
    return f"the credit limit is {of('limit'):,.0f}"
