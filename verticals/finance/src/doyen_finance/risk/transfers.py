"""Transfers between accounts: the file's columns, checked, in time order, with each account's own ins and outs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_finance.risk.tables import Column, read_table

COLUMNS: Final = (
    Column("TRANSFER_ID", "name", unique=True),
    Column("DATETIME", "time"),
    Column("FROM", "name"),
    Column("TO", "name"),
    Column("AMOUNT", "amount"),
    Column("TYPOLOGY", "text", required=False),
)


@dataclass(frozen=True)
class Transfers:
    """N transfers in time order; ``source`` and ``target`` are positions in ``accounts``.

    Attributes:
        seconds: since 1970, (N,).
        amount: major units, (N,).
        typology: the simulated label, "" for honest transfers, (N,); None where the file has none.
    """

    ids: NDArray[np.object_]
    seconds: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    amount: NDArray[np.float64]
    typology: NDArray[np.object_] | None
    accounts: NDArray[np.object_]
    flags: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.seconds)

    @cached_property
    def out(self) -> list[NDArray[np.int64]]:
        """By account, its outgoing transfers in time order."""
        return _by_account(self.source, len(self.accounts))

    @cached_property
    def into(self) -> list[NDArray[np.int64]]:
        """By account, its incoming transfers in time order."""
        return _by_account(self.target, len(self.accounts))

    @cached_property
    def pair_count(self) -> NDArray[np.int64]:
        """How many transfers of the file join the same two accounts in the same direction, (N,)."""
        pair = self.source * len(self.accounts) + self.target
        _, code, count = np.unique(pair, return_inverse=True, return_counts=True)
        return count[code]


def read_transfers(path: Path) -> Transfers:
    """``TRANSFER_ID, DATETIME, FROM, TO, AMOUNT`` and perhaps ``TYPOLOGY``. Raises FIN-070 to FIN-073."""
    table, ignored = read_table(path, COLUMNS)
    return from_table(table, ignored)


def from_table(table: pd.DataFrame, ignored: list[str] | None = None) -> Transfers:
    """Checked columns in time order; a transfer from an account to itself is left out and flagged."""
    flags = [f"ignored columns: {len(ignored)}"] if ignored else []
    same = (table["FROM"] == table["TO"]).to_numpy()
    if same.any():
        flags.append(f"left out {int(same.sum())} transfers of an account to itself")
        table = table[~same]
    seconds = table["DATETIME"].astype("datetime64[s]").astype(np.int64).to_numpy()
    if (np.diff(seconds) < 0).any():
        flags.append("rows were not in time order; sorted")
    order = np.argsort(seconds, kind="stable")
    table = table.iloc[order]
    ends = np.concatenate([table["FROM"].to_numpy(object), table["TO"].to_numpy(object)])
    accounts, code = np.unique(ends, return_inverse=True)
    return Transfers(
        ids=table["TRANSFER_ID"].to_numpy(object),
        seconds=seconds[order],
        source=code[: len(table)].astype(np.int64),
        target=code[len(table) :].astype(np.int64),
        amount=table["AMOUNT"].to_numpy(np.float64),
        typology=table["TYPOLOGY"].to_numpy(object) if "TYPOLOGY" in table else None,
        accounts=accounts,
        flags=tuple(flags),
    )


def _by_account(ends: NDArray[np.int64], accounts: int) -> list[NDArray[np.int64]]:
    order = np.argsort(ends, kind="stable")
    return np.split(order, np.cumsum(np.bincount(ends, minlength=accounts))[:-1])
