"""Card transactions: the file's columns, checked, in time order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_finance.risk.tables import Column, read_table

COLUMNS: Final = (
    Column("TRANSACTION_ID", "name", unique=True),
    Column("TX_DATETIME", "time"),
    Column("CUSTOMER_ID", "name"),
    Column("TERMINAL_ID", "name"),
    Column("TX_AMOUNT", "amount"),
    Column("TX_FRAUD", "integer", required=False, allowed=(0, 1)),
    Column("TX_FRAUD_SCENARIO", "integer", required=False, allowed=(0, 1, 2, 3)),
)


@dataclass(frozen=True)
class Transactions:
    """N transactions in time order.

    Attributes:
        ids: transaction identifiers, (N,) strings.
        seconds: time in seconds since 1970, (N,).
        customer, terminal: their numbers (positions in ``customers`` and ``terminals``), (N,).
        cents: amounts in whole minor units, (N,).
        fraud: 1 for confirmed fraud, (N,); zeros where the file has no labels.
        scenario: 0 none, 1 amount, 2 terminal, 3 card, (N,); None where the file does not say.
        flags: what the reader noticed.
    """

    ids: NDArray[np.object_]
    seconds: NDArray[np.int64]
    customer: NDArray[np.int64]
    terminal: NDArray[np.int64]
    cents: NDArray[np.int64]
    fraud: NDArray[np.int64]
    scenario: NDArray[np.int64] | None
    customers: NDArray[np.object_]
    terminals: NDArray[np.object_]
    flags: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def day(self) -> NDArray[np.int64]:
        """Calendar day of each transaction, counted from 1970, (N,)."""
        return self.seconds // 86_400

    def rows(self, kept: NDArray[np.bool_]) -> Transactions:
        """Only the rows that ``kept`` marks, (N,)."""
        return replace(
            self,
            ids=self.ids[kept],
            seconds=self.seconds[kept],
            customer=self.customer[kept],
            terminal=self.terminal[kept],
            cents=self.cents[kept],
            fraud=self.fraud[kept],
            scenario=None if self.scenario is None else self.scenario[kept],
        )


def read_transactions(path: Path) -> Transactions:
    """A file of the Fraud Detection Handbook's format. Raises FIN-070 to FIN-073."""
    table, ignored = read_table(path, COLUMNS)
    return from_table(table, ignored)


def from_table(table: pd.DataFrame, ignored: list[str] | None = None) -> Transactions:
    """Checked columns in time order; rows of the same second keep the file's order."""
    seconds = table["TX_DATETIME"].astype("datetime64[s]").astype(np.int64).to_numpy()
    flags = [f"ignored columns: {len(ignored)}"] if ignored else []
    if (np.diff(seconds) < 0).any():
        flags.append("rows were not in time order; sorted")
    if "TX_FRAUD" not in table:
        flags.append("no column TX_FRAUD: no terminal has a history of confirmed fraud")
    order = np.argsort(seconds, kind="stable")
    table = table.iloc[order]
    customers, customer = np.unique(table["CUSTOMER_ID"].to_numpy(object), return_inverse=True)
    terminals, terminal = np.unique(table["TERMINAL_ID"].to_numpy(object), return_inverse=True)
    none = np.zeros(len(table), np.int64)
    return Transactions(
        ids=table["TRANSACTION_ID"].to_numpy(object),
        seconds=seconds[order],
        customer=customer.astype(np.int64),
        terminal=terminal.astype(np.int64),
        cents=np.round(table["TX_AMOUNT"].to_numpy(np.float64) * 100).astype(np.int64),
        fraud=table["TX_FRAUD"].to_numpy(np.int64) if "TX_FRAUD" in table else none,
        scenario=table["TX_FRAUD_SCENARIO"].to_numpy(np.int64) if "TX_FRAUD_SCENARIO" in table else None,
        customers=customers,
        terminals=terminals,
        flags=tuple(flags),
    )
