"""Who was in the index on which day: point-in-time spells from the package ``index-constitution``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_schemas import DoyenError

SOURCE: Final = f"index-constitution {version('index-constitution')}"


def csi300_spells() -> pd.DataFrame:
    """Spells of membership in the CSI 300: ts_code, start, stop (first day out, NaT while a member)."""
    import index_constitution

    history = index_constitution.history("csi300")
    code = history["symbol"].str.slice(2) + "." + history["symbol"].str.slice(0, 2)
    return check_spells(
        pd.DataFrame({"ts_code": code, "start": history["opt-in"], "stop": history["opt-out"]})
    )


def check_spells(spells: pd.DataFrame) -> pd.DataFrame:
    """The spells sorted. Raises FIN-064: a spell without start, that ends before it starts, or overlaps another."""
    spells = spells.sort_values(["ts_code", "start"], ignore_index=True)
    before = spells.groupby("ts_code")["stop"].shift()
    later = spells["ts_code"].duplicated()
    wrong = spells["start"].isna() | (spells["stop"] <= spells["start"])
    wrong |= later & (before.isna() | (before > spells["start"]))
    if wrong.any():
        raise DoyenError(
            "FIN-064",
            f"{int(wrong.sum())} membership spells are impossible, the first of {spells['ts_code'][int(wrong.argmax())]}.",
            "A spell starts before it stops, and a stock has one at a time.",
        )
    return spells


def members(spells: pd.DataFrame, dates: pd.DatetimeIndex, symbols: list[str]) -> NDArray[np.bool_]:
    """(T, N): whether each stock was a member at the close of each day."""
    column = {symbol: n for n, symbol in enumerate(symbols)}
    member_TN = np.zeros((len(dates), len(symbols)), dtype=bool)
    for symbol, start, stop in spells[["ts_code", "start", "stop"]].itertuples(index=False):
        if symbol in column:
            first = dates.searchsorted(start)
            last = len(dates) if pd.isna(stop) else dates.searchsorted(stop)
            member_TN[first:last, column[symbol]] = True
    return member_TN
