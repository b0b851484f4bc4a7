"""The long frame of series that the field's libraries share: ``unique_id, ds, y``, one row a series and time stamp."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from doyen_schemas import DoyenError

COLUMNS: Final = ("unique_id", "ds", "y")
MOST_ROWS: Final = 5_000_000
_MOST_MISSING: Final = 0.5
_NAMED: Final = 3
"""Time stamps that a message or flag names; the rest are counted."""


@dataclass(frozen=True)
class Flag:
    """Something in a series that a forecast of it has to be read with: ``missing_steps`` or ``constant``."""

    unique_id: str
    kind: str
    message: str


@dataclass(frozen=True)
class Series:
    """One checked series in order of time; ``freq`` is a pandas alias or None where the steps are irregular."""

    unique_id: str
    ds: pd.DatetimeIndex
    y: NDArray[np.float64]
    freq: str | None

    def after(self, horizon: int) -> pd.DatetimeIndex:
        """The time stamps of the next ``horizon`` steps. Exchange holidays are not known: business days count."""
        assert self.freq is not None  # checked() refuses series without one
        return pd.date_range(self.ds[-1], periods=horizon + 1, freq=self.freq)[1:]


def read_csv(path: Path) -> pd.DataFrame:
    """A long frame out of a CSV file: ``unique_id, ds, y``, or bars with ``date`` and ``close``. Raises FIN-050.

    A file without ``unique_id`` is one series, named after the file. Compressed files are read too.
    """
    try:
        frame = pd.read_csv(path, nrows=MOST_ROWS + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DoyenError(
            "FIN-050",
            f"{path.name} cannot be read as CSV ({type(error).__name__}).",
            "Give a CSV file with a header.",
        ) from error
    names = {str(name).strip().lower(): name for name in frame.columns}
    time = next((names[name] for name in ("ds", "date") if name in names), None)
    value = next((names[name] for name in ("y", "close") if name in names), None)
    if time is None or value is None:
        raise DoyenError(
            "FIN-050", f"{path.name} lacks a column of {'time' if time is None else 'values'}.",
            "Name the columns unique_id, ds, y; or date and close for bars.",
        )  # fmt: skip
    series = frame[names["unique_id"]].astype(str) if "unique_id" in names else path.name.split(".")[0]
    return pd.DataFrame({"unique_id": series, "ds": frame[time], "y": frame[value]})


def checked(frame: pd.DataFrame, at_least: int, freq: str | None = None) -> tuple[list[Series], list[Flag]]:
    """The series of a long frame, sorted by time, with what is flagged about them.

    Raises FIN-050 (columns, time stamps), FIN-051 (duplicated time stamps), FIN-052 (missing or infinite values),
    FIN-053 (fewer than ``at_least`` steps), FIN-054 (irregular steps, or more than half missing).
    Missing steps are flagged and never filled: the steps that stand there are the series.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing or len(frame) > MOST_ROWS:
        raise DoyenError(
            "FIN-050", f"the frame lacks {', '.join(missing)}." if missing else f"more than {MOST_ROWS:,} rows.",
            "Give a long frame with the columns unique_id, ds, y.",
        )  # fmt: skip
    rows = pd.DataFrame(
        {"unique_id": frame["unique_id"].astype(str), "ds": _times(frame["ds"]), "y": _numbers(frame["y"])}
    )
    if rows.empty:
        raise DoyenError("FIN-053", "the frame has no rows.", "Give at least one series.")
    found: list[Series] = []
    flags: list[Flag] = []
    for unique_id, part in rows.sort_values(["unique_id", "ds"], kind="stable").groupby(
        "unique_id", sort=True
    ):
        series, its_flags = _series(str(unique_id), part, at_least, freq)
        found.append(series)
        flags += its_flags
    return found, flags


def _times(column: pd.Series[Any]) -> pd.Series[Any]:
    # Whole numbers are dates as exchanges write them (20251231), never nanoseconds since 1970.
    written = None
    if pd.api.types.is_numeric_dtype(column):
        column, written = column.map("{:.0f}".format), "%Y%m%d"
    try:
        times = pd.to_datetime(column, errors="coerce", format=written)
    except (ValueError, TypeError):  # time zones that change within the column
        times = pd.Series(pd.NaT, index=column.index)
    wrong = int(times.isna().sum())
    if wrong:
        raise DoyenError(
            "FIN-050", f"{wrong} of {len(column)} time stamps cannot be read.",
            "Write dates as 2025-12-31 or 20251231, all in one time zone.",
        )  # fmt: skip
    return times.dt.tz_localize(None) if times.dt.tz is not None else times


def _numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    values = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise DoyenError(
            "FIN-052", f"{wrong} of {len(column)} values are missing, infinite or no numbers; all must be finite.",
            "Remove these rows or fill them in a way that you can defend; nothing is filled here.",
        )  # fmt: skip
    return values


def _series(unique_id: str, part: pd.DataFrame, at_least: int, freq: str | None) -> tuple[Series, list[Flag]]:
    ds = pd.DatetimeIndex(part["ds"])
    y = part["y"].to_numpy(np.float64)
    repeated = ds[ds.duplicated()].unique()
    if len(repeated):
        raise DoyenError(
            "FIN-051",
            f"series {unique_id}: {len(repeated)} time stamps stand more than once, such as {_dates(repeated)}.",
            "Keep one row for each series and time stamp.",
        )
    if len(y) < at_least:
        raise DoyenError(
            "FIN-053", f"series {unique_id} has {len(y)} steps; {at_least} are needed.",
            "Give a longer history, a shorter horizon or fewer windows.",
        )  # fmt: skip
    freq = freq or _frequency(ds)
    flags = []
    if freq is None:
        raise DoyenError(
            "FIN-054",
            f"the steps of series {unique_id} are irregular.",
            "State the frequency, such as B, D or h.",
        )
    gaps = _gaps(ds, freq)
    if len(gaps) > _MOST_MISSING * (len(ds) + len(gaps)):
        raise DoyenError(
            "FIN-054", f"series {unique_id}: {len(gaps)} of {len(ds) + len(gaps)} steps at frequency {freq} are missing.",
            "State the right frequency, or give the missing rows.",
        )  # fmt: skip
    if len(gaps):
        flags.append(
            Flag(
                unique_id,
                "missing_steps",
                f"{len(gaps)} steps at frequency {freq} are missing, such as {_dates(gaps)}; holidays count",
            )
        )
    if np.ptp(y) == 0:
        flags.append(Flag(unique_id, "constant", "all values are equal; the forecast repeats them"))
    return Series(unique_id, ds, y, freq), flags


def _frequency(ds: pd.DatetimeIndex) -> str | None:
    """The regular frequency, or that of most steps: business days where only weekdays stand there."""
    if len(ds) < 3:
        return None
    with warnings.catch_warnings():  # pandas will return an offset in place of a string; both are handled
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        found = pd.infer_freq(ds)
    if found is not None:
        return str(getattr(found, "freqstr", found))
    steps = pd.Series(np.diff(ds.to_numpy()))
    step = pd.Timedelta(steps.mode().iloc[0])
    if (steps == step).mean() < 0.5:
        return None
    if step == pd.Timedelta(days=1) and (ds.day_of_week < 5).all():
        return "B"
    return str(pd.tseries.frequencies.to_offset(step).freqstr)


def _gaps(ds: pd.DatetimeIndex, freq: str) -> pd.DatetimeIndex:
    try:
        expected = int((ds[-1] - ds[0]) / pd.Timedelta(pd.tseries.frequencies.to_offset(freq)))
    except ValueError:  # calendar offsets such as months have no fixed length, and are long
        expected = 0
    # A single wild date must not lay out billions of steps.
    if expected > 20 * len(ds) + 1000:
        raise DoyenError(
            "FIN-054",
            f"the dates span {expected:,} steps at frequency {freq} for {len(ds)} rows.",
            "Check the dates.",
        )
    return pd.date_range(ds[0], ds[-1], freq=freq).difference(ds)


def _dates(times: pd.DatetimeIndex) -> str:
    return ", ".join(str(time).removesuffix(" 00:00:00") for time in times[:_NAMED])
