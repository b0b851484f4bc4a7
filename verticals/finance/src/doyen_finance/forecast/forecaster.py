"""Forecasts with conformal intervals, and backtests over moving cutoffs, on long frames ``unique_id, ds, y``.

Names and columns follow Nixtla's libraries. A forecast at a cutoff reads the values up to that cutoff and no other:
models, scalers and intervals alike. Shapes: H horizon, W calibration windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from doyen_finance.forecast.frame import Flag, Series, checked
from doyen_finance.forecast.naive import Floats, Model
from doyen_schemas import DoyenError

RECENT = 60
"""Steps whose deviation an interval is measured in: a calm market gets a narrower fan than a wild one."""


@dataclass(frozen=True)
class Calibration:
    """Errors of a model at past cutoffs, (W, H) for each series, in units of the recent deviation there."""

    scores_WH: Mapping[str, Floats]

    def half_width(self, key: str, level: float, recent: float) -> Floats:
        """Half the width of the split conformal interval at each step, (H,) (Vovk et al. 2005).

        Raises FIN-056 when the level needs more calibration windows than there are.
        """
        if not 0 < level < 100:
            raise DoyenError(
                "FIN-056", f"level is {level:g}; it must lie between 0 and 100.", "Write 80 or 95."
            )
        scores_WH = np.sort(self.scores_WH[key], axis=0)
        rank = math.ceil((len(scores_WH) + 1) * level / 100)
        if rank > len(scores_WH):
            needed = math.ceil(level / (100 - level))
            raise DoyenError(
                "FIN-056", f"level {level:g} needs {needed} calibration windows; there are {len(scores_WH)}.",
                "Lower the level or raise the number of calibration windows.",
            )  # fmt: skip
        return np.maximum.accumulate(scores_WH[rank - 1]) * recent


@dataclass
class Forecaster:
    """Models that are fitted on the same series and set beside each other.

    Args:
        models: naive models and networks; the first is the one that a report is about.
        horizon: steps to forecast.
        freq: pandas alias of the steps; inferred where it is None.
        log: forecast the logarithm of the values (prices); the values must be positive.
        windows: past cutoffs that the intervals are calibrated on; 0 for none.
        step: steps between these cutoffs.
    """

    models: Sequence[Model]
    horizon: int
    freq: str | None = None
    log: bool = False
    windows: int = 0
    step: int = 1
    flags: list[Flag] = field(default_factory=list, init=False)
    past: pd.DataFrame | None = field(default=None, init=False)
    """The forecasts at the calibration cutoffs, as ``cross_validation`` gives them."""
    series: list[Series] = field(default_factory=list, init=False)
    _calibrations: dict[str, Calibration] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.windows < 0 or self.step < 1 or not self.models:
            raise DoyenError(
                "FIN-057", f"horizon {self.horizon}, {self.windows} windows at steps of {self.step}, {len(self.models)} models;"
                " horizon, step and models are at least 1.", "Correct the setting.",
            )  # fmt: skip

    def fit(self, df: pd.DataFrame) -> Forecaster:
        """Calibrate on the last ``windows`` cutoffs, then fit on everything. Raises FIN-05x as ``frame.checked``.

        For the calibration, models are fitted once on what lies before the first of these cutoffs.
        """
        self._calibrations, self.past = {}, None
        if self.windows:
            self.past = self.cross_validation(df, self.windows, self.step, refit=False)
            self._calibrations = self._calibrated(self.past)
        self.series, self.flags = self._checked(df, 0)
        self._fit(self.series)
        return self

    def predict(self, h: int | None = None, level: Sequence[float] = ()) -> pd.DataFrame:
        """One row for each series and step: ``unique_id, ds``, each model's column, and ``-lo-LEVEL``, ``-hi-LEVEL``.

        Raises FIN-055 (not fitted), FIN-056 (a level that the calibration cannot give).
        """
        if not self.series:
            raise DoyenError("FIN-055", "the forecaster is not fitted.", "Call fit(df) first.")
        h = self.horizon if h is None else h
        if not 1 <= h <= self.horizon:
            raise DoyenError(
                "FIN-057", f"h is {h}; it must be between 1 and {self.horizon}.", "Fit for a longer horizon."
            )
        forecasts = self._predict(self.series)
        parts = []
        for series in self.series:
            columns: dict[str, object] = {"unique_id": series.unique_id, "ds": series.after(h)}
            for name, of_series in forecasts.items():
                columns |= self._columns(name, of_series[series.unique_id], series, level, h)
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def cross_validation(
        self, df: pd.DataFrame, n_windows: int, step_size: int | None = None, refit: bool | int = True
    ) -> pd.DataFrame:
        """Forecasts at past cutoffs beside what came: ``unique_id, ds, cutoff, y`` and a column for each model.

        The last window ends with the data; earlier cutoffs lie ``step_size`` steps (default: the horizon) before.
        Cutoffs are time stamps, the same for all series: no model sees another series' future either. ``refit``:
        at every window, at every so many windows, or (False) once on what lies before the first cutoff.
        Raises FIN-05x as ``frame.checked``; FIN-057 (windows, steps below 1).
        """
        step_size = self.horizon if step_size is None else step_size
        if n_windows < 1 or step_size < 1 or int(refit) < 0:
            raise DoyenError(
                "FIN-057", f"{n_windows} windows at steps of {step_size}, refit {refit}; they are at least 1.",
                "Correct the setting.",
            )  # fmt: skip
        self.series, self.flags = self._checked(df, self.horizon + (n_windows - 1) * step_size)
        parts = []
        for number, (past, future) in enumerate(
            self._folds(_cutoffs(self.series, self.horizon, n_windows, step_size))
        ):
            if number == 0 or (refit and number % int(refit) == 0):
                self._fit(past)
            forecasts = self._predict(past)
            for series in past:
                ahead = future[series.unique_id]
                columns = {
                    "unique_id": series.unique_id,
                    "ds": ahead.ds,
                    "cutoff": series.ds[-1],
                    "y": ahead.y,
                }
                for name, of_series in forecasts.items():
                    columns |= self._columns(name, of_series[series.unique_id], series, (), self.horizon)
                parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def _calibrated(self, past: pd.DataFrame) -> dict[str, Calibration]:
        of_series = {series.unique_id: series for series in self.series}
        scores: dict[str, dict[str, Floats]] = {model.name: {} for model in self.models}
        for key, rows in past.groupby("unique_id"):
            series = of_series[str(key)]
            recent_W1 = np.array(
                [[self._recent(_until([series], cutoff)[0])] for cutoff in rows["cutoff"].unique()]
            )
            undo = np.log if self.log else np.asarray
            truth_WH = undo(rows["y"].to_numpy()).reshape(-1, self.horizon)
            for name, of_model in scores.items():
                forecast_WH = undo(rows[name].to_numpy()).reshape(-1, self.horizon)
                of_model[series.unique_id] = np.abs(truth_WH - forecast_WH) / recent_W1
        return {name: Calibration(of_model) for name, of_model in scores.items()}

    def _checked(self, df: pd.DataFrame, held_out: int) -> tuple[list[Series], list[Flag]]:
        needed = max(model.needs(self.horizon) for model in self.models)
        series, flags = checked(df, max(needed + held_out, 2), self.freq)
        lowest = min(float(one.y.min()) for one in series)
        if self.log and lowest <= 0:
            raise DoyenError(
                "FIN-058",
                f"the lowest value is {lowest:g}; logarithms need values above 0.",
                "Forecast without logarithms.",
            )
        return series, flags

    def _values(self, series: Series) -> Floats:
        return np.log(series.y) if self.log else series.y

    def _recent(self, series: Series) -> float:
        """The deviation of the last steps; of a series that stands still, a small share of its level."""
        values = self._values(series)
        deviation = float(np.diff(values[-RECENT - 1 :]).std())
        return max(deviation, 1e-9 * max(1.0, abs(float(values[-1]))))

    def _fit(self, series: Sequence[Series]) -> None:
        histories = {one.unique_id: self._values(one) for one in series}
        for model in self.models:
            model.fit(histories, self.horizon)

    def _predict(self, series: Sequence[Series]) -> dict[str, dict[str, Floats]]:
        histories = {one.unique_id: self._values(one) for one in series}
        return {model.name: model.predict(histories, self.horizon) for model in self.models}

    def _columns(
        self, name: str, values_H: Floats, series: Series, level: Sequence[float], h: int
    ) -> dict[str, object]:
        undo = np.exp if self.log else np.asarray
        columns: dict[str, object] = {name: undo(values_H[:h])}
        for one in level:
            if name not in self._calibrations:
                raise DoyenError(
                    "FIN-056",
                    f"level {one:g} needs calibration windows; there are none.",
                    "Set windows, such as 40.",
                )
            half_H = self._calibrations[name].half_width(series.unique_id, one, self._recent(series))
            columns[f"{name}-lo-{one:g}"] = undo((values_H - half_H)[:h])
            columns[f"{name}-hi-{one:g}"] = undo((values_H + half_H)[:h])
        return columns

    def _folds(self, cutoffs: Sequence[pd.Timestamp]) -> Iterator[tuple[list[Series], dict[str, Series]]]:
        """At each cutoff, the series up to it and the next ``horizon`` steps of each."""
        for cutoff in cutoffs:
            past = _until(self.series, cutoff)
            future = {}
            for series, seen in zip(self.series, past, strict=True):
                ahead = slice(len(seen.y), len(seen.y) + self.horizon)
                future[series.unique_id] = Series(
                    series.unique_id, series.ds[ahead], series.y[ahead], series.freq
                )
            yield past, future


def _cutoffs(series: Sequence[Series], horizon: int, windows: int, step: int) -> list[pd.Timestamp]:
    """The last time stamps that each window may see, earliest first; raises FIN-054 where series end apart."""
    ends = sorted({one.ds[-1] for one in series})
    if len(ends) > 1:
        raise DoyenError(
            "FIN-054",
            f"the series end at {len(ends)} different time stamps.",
            "Cut them at the same one, or run them apart.",
        )
    # All series share the grid of their common time stamps, so that each has its whole horizon after a cutoff.
    common = series[0].ds
    for one in series[1:]:
        common = common.intersection(one.ds)
    last = len(common) - horizon - 1
    first = last - (windows - 1) * step
    if first < 0:
        raise DoyenError(
            "FIN-053", f"the series share {len(common)} time stamps; {windows} windows need {horizon + (windows - 1) * step + 1}.",
            "Ask for fewer windows.",
        )  # fmt: skip
    return [common[first + number * step] for number in range(windows)]


def _until(series: Sequence[Series], cutoff: pd.Timestamp) -> list[Series]:
    return [
        Series(one.unique_id, one.ds[seen], one.y[seen], one.freq)
        for one in series
        for seen in [slice(int(one.ds.searchsorted(cutoff, side="right")))]
    ]
