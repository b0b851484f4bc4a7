"""Walk-forward: trained from the start, choices made on a validation part, refitted every quarter, with an embargo.

A row of day t may be trained on only where its label, known at t + 2, lies before the first day that is predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import pandas as pd

from doyen_finance.backtest.inputs import Inputs
from doyen_finance.backtest.panel import HORIZON, Floats
from doyen_schemas import DoyenError

TRAIN_QUARTERS: Final = 8
VALID_QUARTERS: Final = 2


@dataclass(frozen=True)
class Fold:
    """Days by number: train on [0, train_stop), predict [start, stop). The gap between is the embargo."""

    train_stop: int
    start: int
    stop: int


class Plan(NamedTuple):
    """``choice``: the validation part, trained on what lies before it. ``folds``: one for each quarter of the test."""

    choice: Fold
    folds: tuple[Fold, ...]


class Learner(Protocol):
    """A model that can be chosen once on validation data, then fitted anew for each quarter."""

    def choose(self, inputs: Inputs, fold: Fold) -> None:
        """Settle what has to be settled (a penalty, epochs) on the validation part."""

    def scores(self, inputs: Inputs, fold: Fold) -> Floats:
        """(stop - start, N) scores of the fold's rows, fitted on its training days; NaN outside the universe."""

    def chosen(self) -> dict[str, float]:
        """What was settled, by name."""


def plan(dates: pd.DatetimeIndex, train: int = TRAIN_QUARTERS, valid: int = VALID_QUARTERS) -> Plan:
    """Quarters counted from the first day: ``train``, then ``valid``, then the test. Raises FIN-063 (too short)."""
    quarter = dates.year * 4 + dates.quarter
    number = np.asarray(quarter - quarter[0])
    valid_start = int(np.searchsorted(number, train))
    test_start = int(np.searchsorted(number, train + valid))
    if test_start >= len(dates) - HORIZON or not HORIZON < valid_start < test_start - HORIZON:
        raise DoyenError(
            "FIN-063", f"the bars cover {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}, {len(dates)} trading days.",
            f"Needed: {train} quarters for training, {valid} for validation and some days for the test.",
        )  # fmt: skip
    starts = [int(np.searchsorted(number, q)) for q in np.unique(number[test_start:])]
    stops = [*starts[1:], len(dates)]
    folds = tuple(Fold(start - HORIZON, start, stop) for start, stop in zip(starts, stops, strict=True))
    return Plan(Fold(valid_start - HORIZON, valid_start, test_start - HORIZON), folds)


def walk_forward(inputs: Inputs, learner: Learner) -> Floats:
    """(T, N) scores of the test days, each from a fit that ended before its quarter; NaN before the test."""
    choice, folds = plan(inputs.dates)
    learner.choose(inputs, choice)
    scores_TN = np.full(inputs.universe_TN.shape, np.nan)
    for fold in folds:
        scores_TN[fold.start : fold.stop] = learner.scores(inputs, fold)
    return scores_TN
