"""The panel: bars joined to point-in-time membership, suspended days kept as rows without prices.

Shape legend: T trading days, N stocks. A long table is what strategies and audits take (``PANEL_COLUMNS``); the wide
form (T, N) is what the factors are computed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_finance.backtest.bars import COLUMNS, OWN
from doyen_finance.backtest.membership import members
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_MOST_CELLS: Final = 6_000_000
"""Twenty years of all that were ever in the CSI 300."""
PANEL_COLUMNS: Final = (*COLUMNS, "member")
KEY: Final = ["trade_date", "ts_code"]
HORIZON: Final = 2
"""The label of day t is the return from the close of t+1 to the close of t+2: known two trading days later."""


@dataclass(frozen=True)
class Panel:
    """A long table made wide. ``listed``: from a stock's first bar on; a day without trade has NaN prices."""

    dates: pd.DatetimeIndex
    symbols: list[str]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    pre_close: Floats
    volume: Floats
    amount: Floats
    member: Booleans
    listed: Booleans
    extra: dict[str, Floats]
    """Columns of the caller's own whose name begins with ``x_``: further factors."""

    @cached_property
    def returns(self) -> Floats:
        """(T, N) total return of the day; NaN without trade, never filled with 0."""
        return self.close / self.pre_close - 1

    @cached_property
    def labels(self) -> Floats:
        """(T, N) return from the close of t+1 to the close of t+2; NaN where one of the two days has no trade."""
        labels_TN = np.full_like(self.close, np.nan)
        traded_TN = np.isfinite(self.returns)
        labels_TN[:-HORIZON] = np.where(traded_TN[1:-1] & traded_TN[2:], self.returns[2:], np.nan)
        return labels_TN

    @property
    def universe(self) -> Booleans:
        """(T, N) rows to be scored: listed members of that day, traded or suspended, with or without a label."""
        return self.member & self.listed


def panel_frame(bars: pd.DataFrame, spells: pd.DataFrame) -> pd.DataFrame:
    """The long panel of checked bars: a row for every stock and day since its first bar, with ``member``.

    A day without a bar, or with a bar without volume, is a row with NaN prices and volume 0. Raises FIN-060 (more days
    times stocks than fit in memory).
    """
    dates = pd.DatetimeIndex(bars["trade_date"].unique())
    symbols = sorted(bars["ts_code"].unique())
    if (cells := len(dates) * len(symbols)) > _MOST_CELLS:
        raise DoyenError(
            "FIN-060", f"{len(dates)} days of {len(symbols)} stocks are {cells:,} rows, at most {_MOST_CELLS:,} fit.",
            "Leave out stocks that were never in the index.",
        )  # fmt: skip
    full = pd.MultiIndex.from_product([dates, symbols], names=KEY)
    panel = bars.set_index(KEY).reindex(full)
    idle = ~(panel["volume_lots"] > 0)
    panel.loc[idle, ["open", "high", "low", "close", "pre_close"]] = np.nan
    panel["volume_lots"] = panel["volume_lots"].fillna(0.0)
    panel["amount_kcny"] = panel["amount_kcny"].fillna(0.0)
    panel["member"] = members(spells, dates, symbols).ravel()
    first = bars.groupby("ts_code")["trade_date"].min()
    listed = panel.index.get_level_values(0) >= first.loc[panel.index.get_level_values(1)].to_numpy()
    return panel[listed].reset_index()


def wide(frame: pd.DataFrame) -> Panel:
    """The wide form of a long panel."""
    dates = pd.DatetimeIndex(np.unique(frame["trade_date"].to_numpy()))
    symbols = sorted(frame["ts_code"].unique())
    t = dates.get_indexer(frame["trade_date"])
    n = pd.Index(symbols).get_indexer(frame["ts_code"])

    def matrix(name: str) -> Floats:
        values_TN = np.full((len(dates), len(symbols)), np.nan)
        values_TN[t, n] = frame[name].to_numpy(float)
        return values_TN

    member_TN = np.zeros((len(dates), len(symbols)), dtype=bool)
    member_TN[t, n] = frame["member"].to_numpy(bool)
    listed_TN = np.zeros_like(member_TN)
    listed_TN[t, n] = True
    prices: dict[str, Any] = {name: matrix(name) for name in ("open", "high", "low", "close", "pre_close")}
    return Panel(
        dates, symbols, **prices, volume=matrix("volume_lots"), amount=matrix("amount_kcny"),
        member=member_TN, listed=listed_TN,
        extra={name: matrix(name) for name in sorted(frame.columns) if name.startswith(OWN)},
    )  # fmt: skip


def long_scores(panel: Panel, scores_TN: Floats) -> pd.Series:
    """Scores by (trade_date, ts_code), without the rows that have none."""
    t, n = np.nonzero(np.isfinite(scores_TN))
    index = pd.MultiIndex.from_arrays([panel.dates[t], np.array(panel.symbols, dtype=object)[n]], names=KEY)
    return pd.Series(scores_TN[t, n], index=index, name="score")


def wide_scores(panel: Panel, scores: pd.Series) -> Floats:
    """The inverse of ``long_scores``: (T, N), NaN where a row has no score."""
    scores_TN = np.full(panel.close.shape, np.nan)
    t = panel.dates.get_indexer(scores.index.get_level_values(0))
    n = pd.Index(panel.symbols).get_indexer(scores.index.get_level_values(1))
    scores_TN[t, n] = scores.to_numpy(float)
    return scores_TN
