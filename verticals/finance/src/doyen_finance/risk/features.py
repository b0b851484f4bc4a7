"""What a score may know of a transaction when it comes in: the past up to this second, frauds a week after they happened.

Windows after the Fraud Detection Handbook (Le Borgne et al. 2022, chapter 3): customers 1, 7 and 30 days; terminals the
same, ending 7 days ago, since a fraud is confirmed a week later. Shape legend: N transactions, F features.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk.transactions import Transactions
from doyen_finance.risk.windows import DAY, Past

Floats = NDArray[np.float64]

DAYS: Final = (1, 7, 30)
DELAY: Final = 7 * DAY
"""How long after a transaction its fraud is known."""
_LONG: Final = 60.0
"""Days that stand for never."""
_HIGH: Final = 2.5
"""An amount is high above this multiple of the card's mean of 30 days without it."""

NAMES: Final = (
    "amount", "weekend", "night",
    *(f"customer_{figure}_{days}d" for days in DAYS for figure in ("count", "mean_amount")),
    *(f"terminal_{figure}_{days}d" for days in DAYS for figure in ("count", "risk")),
    "amount_to_mean_30d", "customer_high_14d", "customer_mean_7d_to_30d", "terminal_since_fraud",
    "terminal_since_first_fraud", "terminal_last_5_risk",
)  # fmt: skip

GROUPS: Final = {
    "amount": ("amount", "amount_to_mean_30d"),
    "card_activity": (
        *(f"customer_{figure}_{days}d" for days in DAYS for figure in ("count", "mean_amount")),
        "customer_high_14d", "customer_mean_7d_to_30d",
    ),
    "terminal_frauds": (
        *(f"terminal_risk_{days}d" for days in DAYS), "terminal_since_fraud", "terminal_since_first_fraud",
        "terminal_last_5_risk",
    ),
    "terminal_activity": tuple(f"terminal_count_{days}d" for days in DAYS),
    "time": ("weekend", "night"),
}  # fmt: skip
"""Every feature stands in one group; a reason is the contribution of a group."""


def features(data: Transactions, delay: int = DELAY) -> Floats:
    """(N, F) in the order of ``NAMES``. Amounts in major units, times in days; ``delay`` in seconds.

    Times since a fraud count from its confirmation, so that they mean the same with a shorter delay.
    """
    by_customer, by_terminal = Past(data.customer, data.seconds), Past(data.terminal, data.seconds)
    hour, weekday = data.seconds // 3600 % 24, (data.seconds // DAY + 3) % 7
    columns: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {
        "amount": data.cents / 100,
        "weekend": (weekday >= 5).astype(np.int64),
        "night": (hour <= 6).astype(np.int64),
    }
    for days in DAYS:
        own = by_customer.window(days * DAY, data.cents)
        columns[f"customer_count_{days}d"] = own.count
        columns[f"customer_mean_amount_{days}d"] = own.total / own.count / 100
        confirmed = by_terminal.window(days * DAY, data.fraud, delay)
        columns[f"terminal_count_{days}d"] = confirmed.count
        columns[f"terminal_risk_{days}d"] = confirmed.total / np.maximum(confirmed.count, 1)
    month, week = by_customer.window(30 * DAY, data.cents), by_customer.window(7 * DAY, data.cents)
    usual = (month.total - data.cents) / np.maximum(month.count - 1, 1)
    ratio = np.where(month.count > 1, data.cents / np.maximum(usual, 100), 1.0)
    high = (ratio > _HIGH).astype(np.int64)
    columns["amount_to_mean_30d"] = ratio
    columns["customer_high_14d"] = by_customer.window(14 * DAY, high).total - high
    columns["customer_mean_7d_to_30d"] = (week.total / week.count) / np.maximum(
        month.total / month.count, 100
    )
    marked = data.fraud == 1
    latest, first = by_terminal.since(marked, delay), by_terminal.since_first(marked, delay, 30 * DAY)
    columns["terminal_since_fraud"] = np.minimum((latest - delay) / DAY, _LONG)
    columns["terminal_since_first_fraud"] = np.minimum((first - delay) / DAY, _LONG)
    columns["terminal_last_5_risk"] = by_terminal.latest(5, data.fraud, delay)
    return np.column_stack([columns[name] for name in NAMES]).astype(np.float64)
