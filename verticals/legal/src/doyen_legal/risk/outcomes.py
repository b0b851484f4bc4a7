"""Calibrate the review priority on a client's own outcomes: what happened to contracts that were reviewed.

A logistic regression over the parts of the weight table; figures are cross-validated, so that they say what to
expect of the next contract. Saved as JSON: coefficients that a person can read.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from doyen_legal.risk.priority import Weights, shipped_weights
from doyen_schemas import DoyenError, Report

LEAST: Final = 50
LEAST_OF_A_CLASS: Final = 10
FOLDS: Final = 5
BINS: Final = 5
_YES: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Feature(BaseModel):
    """A part of the weight table: its mean and spread in the outcomes, and its coefficient per spread."""

    model_config = ConfigDict(extra="forbid")

    name: str
    mean: float
    scale: float
    coefficient: float


class CrossValidation(BaseModel):
    """Figures on contracts that the model was not fitted to. ``brier_base_rate``: always saying the base rate."""

    model_config = ConfigDict(extra="forbid")

    folds: int
    brier: float
    brier_base_rate: float
    ece: float
    auroc: float


class OutcomeModel(BaseModel):
    """A fitted model, and what it was fitted to."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal["1"] = "1"
    outcome: str
    created: str
    weights_version: str
    n: int
    positives: int
    data_sha256: str
    intercept: float
    features: list[Feature]
    cross_validation: CrossValidation

    def probability(self, values: Mapping[str, float], weights_version: str) -> float:
        """The probability of the outcome for a document's part values. Raises LEG-036 for another weight table."""
        if weights_version != self.weights_version:
            raise DoyenError(
                "LEG-036",
                f"the outcome model belongs to weight table {self.weights_version}, not {weights_version}.",
                "Fit the outcomes again with the current table.",
            )
        z = self.intercept + sum(
            f.coefficient * (values.get(f.name, 0.0) - f.mean) / f.scale for f in self.features
        )
        return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))

    def describe(self) -> str:
        """What the probability rests on, for the report."""
        return f"{self.outcome}: {self.n} outcomes ({self.positives} positive), fitted {self.created}"

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> OutcomeModel:
        """Read a saved model. Raises LEG-036 when it cannot be read."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise DoyenError(
                "LEG-036",
                f"outcome model {path.name} cannot be read ({type(error).__name__}).",
                "Give a file that `doyen legal fit-outcomes` wrote.",
            ) from error


def fit_outcomes(
    reports: Sequence[Report],
    outcomes: Mapping[str, bool],
    outcome: str = "outcome",
    weights: Weights | None = None,
) -> OutcomeModel:
    """A model of ``outcomes`` (document sha256 or name to what happened) over the reports' findings.

    Documents without an outcome are left out. Raises LEG-035 with fewer than 50 outcomes, fewer than 10 of one
    kind, or when the cross-validated Brier score is no better than the base rate's: then there is nothing to trust.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = weights or shipped_weights()
    rows, happened, used = _matched(reports, outcomes, table)
    positives = sum(happened)
    _refuse_few(len(happened), positives, len(outcomes))
    names = [part.name for part in table.parts]
    x, y = np.array([[row[name] for name in names] for row in rows]), np.array(happened, dtype=int)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    held_out = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    figures = CrossValidation(
        folds=FOLDS,
        brier=round(float(np.mean((held_out - y) ** 2)), 4),
        brier_base_rate=round(float(y.mean() * (1 - y.mean())), 4),
        ece=round(expected_calibration_error(held_out.tolist(), happened), 4),
        auroc=round(float(roc_auc_score(y, held_out)), 4),
    )
    if figures.brier >= figures.brier_base_rate:
        raise DoyenError(
            "LEG-035",
            f"the findings do not predict the outcomes: cross-validated Brier score {figures.brier} is no better "
            f"than the base rate's {figures.brier_base_rate}.",
            "Collect more outcomes, or outcomes that depend on the contract's terms.",
        )
    model.fit(x, y)
    scaler, regression = model[0], model[1]
    return OutcomeModel(
        outcome=outcome,
        created=datetime.now(UTC).date().isoformat(),
        weights_version=table.version,
        n=len(happened),
        positives=positives,
        data_sha256=hashlib.sha256(json.dumps(sorted(used)).encode()).hexdigest(),
        intercept=float(regression.intercept_[0]),
        features=[
            Feature(name=name, mean=float(mean), scale=float(scale), coefficient=float(coefficient))
            for name, mean, scale, coefficient in zip(
                names, scaler.mean_, scaler.scale_, regression.coef_[0], strict=True
            )
        ],
        cross_validation=figures,
    )


def expected_calibration_error(predicted: Sequence[float], happened: Sequence[bool]) -> float:
    """Mean gap between prediction and frequency over ``BINS`` bins of equal count, weighted by count.

    Bins of equal count, because a few hundred outcomes leave bins of equal width nearly empty (Nixon et al. 2019,
    arXiv 1904.01685).
    """
    order = sorted(range(len(predicted)), key=lambda i: predicted[i])
    gap = 0.0
    for b in range(BINS):
        members = order[b * len(order) // BINS : (b + 1) * len(order) // BINS]
        if members:
            gap += abs(sum(predicted[i] for i in members) - sum(happened[i] for i in members))
    return gap / max(1, len(order))


def read_reports(folder: Path) -> list[Report]:
    """Every report (JSON) in ``folder`` and below, in order of path. Raises LEG-034 when there is none.

    Other JSON files are passed over, files of another schema version too.
    """
    found = []
    for path in sorted(folder.rglob("*.json")):
        try:
            found.append(Report.model_validate_json(path.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, ValidationError):
            continue
    if not found:
        raise DoyenError(
            "LEG-034",
            f"no report found in {folder}: JSON reports of `doyen legal review` are needed.",
            "Give the folder that --out named.",
        )
    return found


def read_outcomes(path: Path) -> dict[str, bool]:
    """Outcomes from a CSV with the columns ``document`` (name or sha256) and ``outcome`` (1/0, yes/no, true/false).

    Raises LEG-034 with the row that breaks this.
    """
    outcomes: dict[str, bool] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                document, outcome = row.get("document"), (row.get("outcome") or "").strip().lower()
                if not document or outcome not in _YES:
                    raise _bad(
                        path, f"row {number} has no document, or an outcome other than {', '.join(_YES)}"
                    )
                if outcomes.setdefault(document.strip(), _YES[outcome]) != _YES[outcome]:
                    raise _bad(path, f"row {number} gives a document a second, different outcome")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _bad(path, f"cannot be read ({type(error).__name__})") from error
    if not outcomes:
        raise _bad(path, "has no rows")
    return outcomes


def _bad(path: Path, what: str) -> DoyenError:
    return DoyenError(
        "LEG-034", f"outcomes {path.name}: {what}.", "The CSV has the columns document and outcome."
    )


def _matched(
    reports: Iterable[Report], outcomes: Mapping[str, bool], table: Weights
) -> tuple[list[dict[str, float]], list[bool], list[tuple[str, bool]]]:
    """Part values and outcomes of the reports that have one, each document once; and what was used."""
    rows: list[dict[str, float]] = []
    happened: list[bool] = []
    used: dict[str, bool] = {}
    for report in reports:
        key = next((k for k in (report.document.sha256, report.document.name) if k in outcomes), None)
        if key is None or report.document.sha256 in used:
            continue
        used[report.document.sha256] = outcomes[key]
        rows.append(table.values(report.findings))
        happened.append(outcomes[key])
    return rows, happened, list(used.items())


def _refuse_few(n: int, positives: int, given: int) -> None:
    fewer = min(positives, n - positives)
    if n < LEAST or fewer < LEAST_OF_A_CLASS:
        raise DoyenError(
            "LEG-035",
            f"{n} of {given} outcomes match a report, {fewer} of the rarer kind: at least {LEAST} and "
            f"{LEAST_OF_A_CLASS} are needed to calibrate.",
            "Review more of the contracts whose outcome is known; names or sha256 digests must match.",
        )
