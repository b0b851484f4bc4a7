"""One forecast from a file or the index: the model asked for, repeat-last beside it, and how both did at past cutoffs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from doyen_finance.forecast.forecaster import Forecaster
from doyen_finance.forecast.frame import Flag
from doyen_finance.forecast.naive import Model, RepeatLast, SeasonalNaive
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.forecast.fit import Recipe

WINDOWS: Final = 60
STEP: Final = 5
_SHOWN: Final = 120
"""Steps of history that a chart shows."""


Choice = Literal["shipped", "patch", "dlinear", "seasonal", "repeat-last"]
"""``shipped``: the shipped weights, never fitted on the file. ``patch``, ``dlinear``: fitted on it."""


@dataclass(frozen=True)
class SeriesForecast:
    """One series: its last steps, the forecast, and errors at past cutoffs (``ratio``: MSE over repeat-last's)."""

    unique_id: str
    history: list[tuple[str, float]]
    forecast: list[dict[str, Any]]
    past_mse: dict[str, float]
    ratio: float | None
    says: str


@dataclass(frozen=True)
class Forecasts:
    """What the command prints and the page shows."""

    model: str
    weights: str | None
    horizon: int
    level: list[float]
    windows: int
    step: int
    log: bool
    series: list[SeriesForecast]
    flags: list[Flag]
    note: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def forecast(
    df: pd.DataFrame, horizon: int, *, choice: Choice = "shipped", level: Sequence[float] = (80, 95),
    windows: int = WINDOWS, step: int = STEP, season: int | None = None, look_back: int = 120,
) -> Forecasts:  # fmt: skip
    """Forecast the next ``horizon`` steps of each series. Raises FIN-05x as ``Forecaster``, FIN-001 (no weights).

    Series of positive values are forecast as logarithms, as prices are.
    """
    positive = bool((pd.to_numeric(df["y"], errors="coerce") > 0).all())
    model, weights, note = _model(choice, season, look_back)
    models = [model] if isinstance(model, RepeatLast) else [model, RepeatLast()]
    forecaster = Forecaster(models, horizon, log=positive, windows=windows, step=step).fit(df)
    ahead = forecaster.predict(level=level)
    found = []
    for series in forecaster.series:
        rows = ahead[ahead["unique_id"] == series.unique_id].drop(columns="unique_id")
        past_mse = _past_mse(forecaster, series.unique_id, positive)
        floor = past_mse.get(RepeatLast.name)
        ratio = past_mse[model.name] / floor if floor else None
        found.append(
            SeriesForecast(
                unique_id=series.unique_id,
                history=[
                    (str(ds), float(y)) for ds, y in zip(series.ds[-_SHOWN:], series.y[-_SHOWN:], strict=True)
                ],
                forecast=rows.assign(ds=rows["ds"].astype(str)).to_dict("records"),
                past_mse=past_mse,
                ratio=None if ratio is None else round(ratio, 4),
                says=_says(model.name, ratio, windows),
            )
        )
    return Forecasts(
        model.name, weights, horizon, [float(one) for one in level], windows, step, positive, found, forecaster.flags, note
    )  # fmt: skip


def _model(choice: Choice, season: int | None, look_back: int) -> tuple[Model, str | None, str]:
    if choice == "repeat-last":
        return RepeatLast(), None, "Repeats the last value."
    if choice == "seasonal":
        if season is None or season < 1:
            raise DoyenError(
                "FIN-057", f"the season is {season}; it must be at least 1.", "Write --season 5, or 24."
            )
        return SeasonalNaive(season), None, f"Repeats the last {season} steps."
    if choice == "shipped":
        from doyen_finance import weights
        from doyen_finance.forecast.index import IndexModel, shipped_report

        folder = weights.part("forecaster")
        name, digest = weights.release()
        return IndexModel.load(folder), f"{name} {digest[:12]}", str(shipped_report(folder)["test"]["says"])
    from doyen_finance.forecast.networks import DLinearModel, PatchModel

    network = PatchModel if choice == "patch" else DLinearModel
    return network(look_back, _recipe()), None, "Fitted on this file alone."


def _recipe() -> Recipe:
    from doyen_finance.forecast.fit import Recipe

    return Recipe(epochs=10, patience=3, batch=64)


def _past_mse(forecaster: Forecaster, unique_id: str, log: bool) -> dict[str, float]:
    """The error of each model over the calibration cutoffs, of logarithms where those are forecast."""
    if forecaster.past is None:
        return {}
    rows = forecaster.past[forecaster.past["unique_id"] == unique_id]
    undo = np.log if log else np.asarray
    truth = undo(rows["y"].to_numpy())
    return {m.name: float(np.square(undo(rows[m.name].to_numpy()) - truth).mean()) for m in forecaster.models}


def _says(name: str, ratio: float | None, windows: int) -> str:
    if ratio is None or name == RepeatLast.name:
        return "There is nothing to compare with repeating the last value."
    verdict = "less than" if ratio < 1 else "no less than"
    return (
        f"At the last {windows} cutoffs of this series the squared error was {ratio:.2f} times that of repeating the last"
        f" value: {verdict} it."
    )
