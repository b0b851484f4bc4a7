"""Credit card clients in UCI's columns: six months of repayment, bills and payments, as what a credit score may use.

Yeh and Lien 2009, doi:10.1016/j.eswa.2007.12.020. Sex, age, marital status and
education are no features.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_finance.risk.tables import Column, read_table

Floats = NDArray[np.float64]

MONTHS: Final = 6
LATE: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
BILLS: Final = tuple(f"BILL_AMT{month}" for month in range(1, MONTHS + 1))
PAID: Final = tuple(f"PAY_AMT{month}" for month in range(1, MONTHS + 1))
PROTECTED: Final = ("SEX", "MARRIAGE", "AGE")
LABEL: Final = "Default"
_USED: Final = ("LIMIT_BAL", *LATE, *BILLS, *PAID)

COLUMNS: Final = (
    Column("ID", "name", unique=True),
    Column("LIMIT_BAL", "amount"),
    *(Column(name, "integer") for name in LATE),
    *(Column(name, "number") for name in BILLS),
    *(Column(name, "amount") for name in PAID),
    *(Column(name, "integer", required=False) for name in ("EDUCATION", *PROTECTED)),
    Column(LABEL, "integer", required=False, allowed=(0, 1)),
)

_RISING, _FALLING, _FREE = 1, -1, 0
FEATURES: Final = {
    "limit": _FALLING,
    **{f"late_{month}": _RISING for month in range(1, MONTHS + 1)},
    "latest_change": _RISING, "worst_late": _RISING, "months_late": _RISING, "mean_late": _RISING,
    **{f"used_{month}": _FREE for month in range(1, MONTHS + 1)},
    "mean_used": _FREE, "used_trend": _FREE,
    **{f"paid_{month}": _FALLING for month in range(1, MONTHS + 1)},
    **{f"paid_share_{month}": _FALLING for month in range(1, MONTHS)},
    "mean_paid": _FALLING, "least_paid": _FALLING, "bill": _FREE,
}  # fmt: skip
"""Each feature and the direction in which it may move the risk: more delay never lowers it, more paid never raises it."""


@dataclass(frozen=True)
class Clients:
    """N clients. ``label`` is 1 for default next month, None where the file has none; ``protected`` likewise."""

    ids: NDArray[np.object_]
    x_NF: Floats
    label: NDArray[np.int64] | None
    protected: Floats | None
    digests: NDArray[np.uint64]
    flags: tuple[str, ...] = ()


def read_clients(path: Path) -> Clients:
    """A file of UCI's format. Raises FIN-070 to FIN-073."""
    table, ignored = read_table(path, COLUMNS)
    flags = [f"ignored columns: {len(ignored)}"] if ignored else []
    if (table["LIMIT_BAL"] == 0).any():
        flags.append("credit limits of 0 count as 1")
    return Clients(
        ids=table["ID"].to_numpy(object),
        x_NF=client_features(table),
        label=table[LABEL].to_numpy(np.int64) if LABEL in table else None,
        protected=table[list(PROTECTED)].to_numpy(np.float64) if set(PROTECTED) <= set(table) else None,
        digests=_digests(table),
        flags=tuple(flags),
    )


def client_features(table: pd.DataFrame) -> Floats:
    """(N, F) in the order of ``FEATURES``; month 1 is the latest."""
    limit = np.maximum(table["LIMIT_BAL"].to_numpy(np.float64), 1.0)[:, None]
    late = table[list(LATE)].to_numpy(np.float64)
    bills, paid = table[list(BILLS)].to_numpy(np.float64), table[list(PAID)].to_numpy(np.float64)
    used = np.clip(bills / limit, -1, 5)
    # A payment settles the bill of the month before; without a bill all is paid.
    share = np.where(bills[:, 1:] > 0, np.minimum(paid[:, :-1] / np.maximum(bills[:, 1:], 1.0), 2.0), 1.0)
    delayed = np.maximum(late, 0)
    return np.concatenate(
        [
            limit, late, (late[:, :1] - late[:, 1:2]), late.max(1, keepdims=True),
            (late >= 1).sum(1, keepdims=True), delayed.mean(1, keepdims=True), used, used.mean(1, keepdims=True),
            used[:, :1] - used[:, -1:], paid, share, paid.mean(1, keepdims=True), paid.min(1, keepdims=True),
            bills[:, :1],
        ],
        axis=1,
    )  # fmt: skip


def _digests(table: pd.DataFrame) -> NDArray[np.uint64]:
    """A digest of the number and of what a score may use, by row: rows that were trained on are recognised."""
    rows = table[list(_USED)].to_numpy(np.float64)
    return np.array(
        [
            int.from_bytes(hashlib.sha256(str(name).encode() + row.tobytes()).digest()[:8], "big")
            for name, row in zip(table["ID"], rows, strict=True)
        ],
        np.uint64,
    )
