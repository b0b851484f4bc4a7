"""Models without parameters: what every forecast is set beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Model(Protocol):
    """What ``Forecaster`` asks of a model. Histories are the values of each series, oldest first, by ``unique_id``."""

    @property
    def name(self) -> str:
        """The column of its forecasts."""
        ...

    def needs(self, horizon: int) -> int:
        """The shortest history that it can be fitted on."""
        ...

    def fit(self, histories: Mapping[str, Floats], horizon: int) -> None:
        """Learn from the histories and from nothing else."""
        ...

    def predict(self, histories: Mapping[str, Floats], horizon: int) -> dict[str, Floats]:
        """The next ``horizon`` values of each history, (H,) each."""
        ...


@dataclass(frozen=True)
class RepeatLast:
    """The last value for every step: the best forecast of a random walk."""

    name: ClassVar[str] = "RepeatLast"

    def needs(self, horizon: int) -> int:  # noqa: ARG002
        return 1

    def fit(self, histories: Mapping[str, Floats], horizon: int) -> None:
        """Nothing to learn."""

    def predict(self, histories: Mapping[str, Floats], horizon: int) -> dict[str, Floats]:
        return {key: np.full(horizon, history[-1]) for key, history in histories.items()}


@dataclass(frozen=True)
class SeasonalNaive:
    """The last season again and again; ``season`` in steps."""

    season: int
    name: ClassVar[str] = "SeasonalNaive"

    def needs(self, horizon: int) -> int:  # noqa: ARG002
        return self.season

    def fit(self, histories: Mapping[str, Floats], horizon: int) -> None:
        """Nothing to learn."""

    def predict(self, histories: Mapping[str, Floats], horizon: int) -> dict[str, Floats]:
        return {key: np.resize(history[-self.season :], horizon) for key, history in histories.items()}
