"""The Fraud Detection Handbook's split by time and its card precision (Le Borgne et al. 2022, chapters 3 and 4)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk.transactions import Transactions
from doyen_schemas import DoyenError

Ints = NDArray[np.int64]

WEEK: Final = 7


class Weeks(NamedTuple):
    """Row numbers of the training week and of the test week seven days after it."""

    train: Ints
    test: Ints
    removed: int
    """Test rows of cards whose fraud was known by then: left out, as in the handbook."""


def split(data: Transactions) -> Weeks:
    """The file's last seven days are the test, seven before them a gap, seven before that the training.

    A card leaves the test on day d when it had a fraud in the training week or a confirmed one by d, that is seven days
    earlier: an operator would have blocked it. Raises FIN-074 (under 21 days, or none of the training week).
    """
    day = data.day
    first, last = int(day[0]), int(day[-1])
    if last - first + 1 < 3 * WEEK:
        raise DoyenError(
            "FIN-074",
            f"the file spans {last - first + 1} days, not at least {3 * WEEK}.",
            "Training week, gap and test week need 21 days.",
        )
    begins = last - 3 * WEEK + 1
    train = np.flatnonzero((day >= begins) & (day < begins + WEEK))
    if not len(train):
        raise DoyenError(
            "FIN-074", "the training week, 14 to 20 days before the file's last, has no row.", "Give a file without the gap."
        )  # fmt: skip
    known = np.zeros(len(data.customers), bool)
    known[data.customer[train[data.fraud[train] == 1]]] = True
    kept, removed = [], 0
    for offset in range(WEEK):
        # The handbook's get_train_test_set: day 0 of the test adds the last day of the training week, and so on.
        confirmed = (day == begins + WEEK + offset - 1) & (data.fraud == 1)
        known[data.customer[confirmed]] = True
        today = np.flatnonzero(day == begins + 2 * WEEK + offset)
        free = today[~known[data.customer[today]]]
        kept.append(free)
        removed += len(today) - len(free)
    return Weeks(train, np.concatenate(kept), removed)


def card_precision(
    day: Ints, customer: Ints, fraud: Ints, score: NDArray[np.float64], k: int = 100
) -> dict[int, float]:
    """By day, the share of compromised cards among the ``k`` cards of highest score; detected cards leave later days.

    A card's score is that of its most suspicious transaction of the day; ties go to the lower card number.
    """
    detected: set[int] = set()
    found: dict[int, float] = {}
    for today in np.unique(day):
        rows = np.flatnonzero(day == today)
        rows = rows[~np.isin(customer[rows], sorted(detected))]
        cards, code = np.unique(customer[rows], return_inverse=True)
        highest, bad = np.full(len(cards), -np.inf), np.zeros(len(cards), np.int64)
        np.maximum.at(highest, code, score[rows])
        np.maximum.at(bad, code, fraud[rows])
        top = np.argsort(-highest, kind="stable")[:k]
        hits = cards[top[bad[top] == 1]]
        detected.update(hits.tolist())
        found[int(today)] = len(hits) / k
    return found
