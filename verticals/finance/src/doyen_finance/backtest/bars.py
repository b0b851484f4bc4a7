"""Daily bars of stocks, read and checked: what is wrong is refused with a code, what is odd is flagged.

Columns: trade_date, ts_code, open, high, low, close, pre_close, volume_lots, amount_kcny. Prices are unadjusted;
``pre_close`` is the exchange's reference price (after dividends and splits), so that ``close / pre_close - 1`` is the
day's total return. Columns of numbers whose name begins with ``x_`` come along as factors of the caller's own.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd

from doyen_schemas import DoyenError

PRICES: Final = ("open", "high", "low", "close", "pre_close")
OWN: Final = "x_"
COLUMNS: Final = ("trade_date", "ts_code", *PRICES, "volume_lots", "amount_kcny")
_MOST_ROWS: Final = 5_000_000
_LONGEST_GAP: Final = pd.Timedelta(days=12)
"""China's longest market holiday between two trading days from 2006 to 2025 (Spring Festival)."""
_DATE: Final = r"(\d{8}|\d{4}-\d\d-\d\d)([ T]00:00:00)?"
"""A day without an hour or an offset: bars of other zones would fall on the wrong day."""
_ODD_RETURN: Final = 0.105
"""Main-board prices move by at most a tenth a day; more is a listing, a return to the market or a fault."""


@dataclass(frozen=True)
class Flag:
    """Something odd that was found and kept: ``kind``, how often, and one sentence."""

    kind: Literal["unsorted", "suspended", "missing_days", "odd_returns", "empty_columns", "thin_coverage"]
    count: int
    note: str


def read_bars(path: Path) -> tuple[pd.DataFrame, list[Flag], str]:
    """The checked bars, sorted by date and stock; the flags; the file's sha256. Raises FIN-060, FIN-061, FIN-062."""
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = pd.read_csv(
            path, dtype={"trade_date": str, "ts_code": str}, nrows=_MOST_ROWS + 1,
            usecols=lambda name: name in COLUMNS or name.startswith(OWN),
            compression="gzip" if _is_gzip(path) else None,
        )  # fmt: skip
    except OSError as error:
        raise DoyenError(
            "FIN-060", f"{path} cannot be read ({error.strerror or error}).", "Give a CSV file."
        ) from error
    except (ValueError, EOFError, zlib.error) as error:  # a wrong header, no CSV, a broken archive
        raise DoyenError(
            "FIN-060",
            f"{path} is not a table of bars.",
            f"It must be CSV (or .csv.gz) with {', '.join(COLUMNS)}.",
        ) from error
    if len(frame) > _MOST_ROWS:
        raise DoyenError("FIN-060", f"{path} has more than {_MOST_ROWS:,} rows.", "Split the file by years.")
    checked, flags = check_bars(frame)
    return checked, flags, sha256


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def check_bars(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Flag]]:
    """Sorted bars with parsed dates, and what is odd about them. Raises FIN-060, FIN-061, FIN-062."""
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent or frame.empty:
        raise DoyenError(
            "FIN-060", f"the bars lack {absent[0] if absent else 'rows'}.", f"Needed: {', '.join(COLUMNS)}."
        )
    written = frame["trade_date"].astype(str)
    dates = pd.to_datetime(written.where(written.str.fullmatch(_DATE)), format="ISO8601", errors="coerce")
    own = [name for name in frame.columns if name.startswith(OWN)]
    numbers = frame[[*PRICES, "volume_lots", "amount_kcny", *own]].apply(pd.to_numeric, errors="coerce")
    for name in own:
        if words := int((numbers[name].isna() & frame[name].notna()).sum()):
            raise DoyenError(
                "FIN-062", f"{words} values of {name} are no numbers.", "Own columns hold numbers, or nothing where unknown."
            )  # fmt: skip
    frame = frame.assign(trade_date=dates.dt.normalize(), **{name: numbers[name] for name in numbers})
    unknown = frame["trade_date"].isna() | frame["ts_code"].isna()
    if unknown.any():
        raise DoyenError(
            "FIN-060",
            f"{int(unknown.sum())} rows have no date or no stock.",
            "Dates are written 20190628 or 2019-06-28.",
        )
    twice = frame.duplicated(["trade_date", "ts_code"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise DoyenError(
            "FIN-061", f"{int(twice.sum())} bars are there twice, the first {row.ts_code} on {row.trade_date:%Y-%m-%d}.",
            "Keep one bar a stock and day.",
        )  # fmt: skip
    _check_values(frame)
    flags = list(_flags(frame))
    return frame.sort_values(["trade_date", "ts_code"], ignore_index=True), flags


def _check_values(frame: pd.DataFrame) -> None:
    traded = frame["volume_lots"].ne(0)
    prices = frame.loc[traded, list(PRICES)].to_numpy(float)
    sizes = frame[["volume_lots", "amount_kcny"]].to_numpy(float)
    faults = {
        "a price that is missing, not finite, zero or negative": ~(np.isfinite(prices) & (prices > 0)).all(
            axis=1
        ),
        "a volume or amount that is missing, not finite or negative": ~(
            np.isfinite(sizes) & (sizes >= 0)
        ).all(axis=1),
        "a high below its low": prices[:, 1] < prices[:, 2],
    }
    for what, wrong in faults.items():
        if wrong.any():
            rows = frame[traded] if len(wrong) == len(prices) else frame
            row = rows.iloc[int(wrong.argmax())]
            raise DoyenError(
                "FIN-062", f"{int(wrong.sum())} bars have {what}, the first {row.ts_code} on {row.trade_date:%Y-%m-%d}.",
                "Correct or remove these rows; a day without trade has volume 0 or no row.",
            )  # fmt: skip


def _flags(frame: pd.DataFrame) -> list[Flag]:
    flags = []
    order = frame["trade_date"].to_numpy()
    if (order[1:] < order[:-1]).any():
        flags.append(
            Flag("unsorted", int((order[1:] < order[:-1]).sum()), "rows were not in order of date; sorted.")
        )
    idle = int(frame["volume_lots"].eq(0).sum())
    if idle:
        flags.append(Flag("suspended", idle, "bars without volume: the stock cannot be traded on that day."))
    days = pd.Series(np.unique(order))
    gaps = days.diff() > _LONGEST_GAP
    if gaps.any():
        first = days[gaps].iloc[0]
        note = f"gaps longer than any market holiday, the first before {first:%Y-%m-%d}: trading days may be missing."
        flags.append(Flag("missing_days", int(gaps.sum()), note))
    odd = int(((frame["close"] / frame["pre_close"] - 1).abs() > _ODD_RETURN).sum())
    if odd:
        flags.append(
            Flag("odd_returns", odd, "daily returns beyond the price limit (first days of a listing); kept.")
        )
    return flags
