"""DLinear and the patch transformer as models of ``Forecaster``: one network over all series, each in its own scale.

Shapes: S series, T steps, L look-back, H horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from doyen_finance.forecast.fit import Fitted, Recipe, Windows, fit
from doyen_finance.forecast.naive import Floats
from doyen_modeling.patch_transformer import DLinear, PatchConfig, PatchTransformer
from doyen_schemas import DoyenError

_VALID_SHARE = 0.2


@dataclass(frozen=True)
class Scaler:
    """Mean and deviation of the training part of one series; of a constant part the deviation is 1."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Floats) -> Scaler:
        """Raises FIN-052 for values whose square overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = float(values.mean()), float(values.std())
        if not np.isfinite([mean, deviation]).all():
            raise DoyenError("FIN-052", "values are too large to be scaled.", "Give them in a larger unit.")
        # Rounding leaves a constant part a deviation of about 1e-16 of its level.
        return cls(mean, deviation if deviation > 1e-12 * max(1.0, abs(mean)) else 1.0)

    def scale(self, values: Floats) -> Floats:
        return (values - self.mean) / self.deviation

    def restore(self, values: Floats) -> Floats:
        return values * self.deviation + self.mean


def split_point(steps: int, look_back: int, horizon: int) -> int:
    """Where the validation part of a history begins: a fifth of its windows, and at least one horizon."""
    return steps - max(horizon, round((steps - look_back) * _VALID_SHARE))


def windows_of(parts: Sequence[Floats], look_back: int, horizon: int) -> Windows:
    """All windows inside each part; no window reaches from one part into the next."""
    starts, offset = [], 0
    for part in parts:
        starts.append(torch.arange(offset, offset + max(0, len(part) - look_back - horizon + 1)))
        offset += len(part)
    values_TC = torch.tensor(np.concatenate(parts), dtype=torch.float32)[:, None]
    return Windows(values_TC, torch.cat(starts), look_back, horizon)


class _Network:
    """A network over single series. Scalers and weights see the part before ``split_point`` only."""

    name: ClassVar[str]

    def __init__(self, look_back: int, recipe: Recipe | None = None) -> None:
        self.look_back = look_back
        self.recipe = recipe or Recipe()
        self.horizon = 0
        self.scalers: dict[str, Scaler] = {}
        self.network: nn.Module | None = None
        self.fitted: Fitted | None = None

    def build(self, horizon: int) -> nn.Module:
        """The network before training: (B, L, 1) to (B, H, 1)."""
        raise NotImplementedError

    def needs(self, horizon: int) -> int:
        return self.look_back + 2 * horizon

    def fit(self, histories: Mapping[str, Floats], horizon: int) -> None:
        self.scalers = {}
        train, valid = [], []
        for key, history in histories.items():
            point = split_point(len(history), self.look_back, horizon)
            self.scalers[key] = Scaler.of(history[:point])
            scaled = self.scalers[key].scale(history)
            train.append(scaled[:point])
            valid.append(scaled[point - self.look_back :])
        torch.manual_seed(self.recipe.seed)
        self.horizon, self.network = horizon, self.build(horizon)
        self.fitted = fit(
            self.network,
            windows_of(train, self.look_back, horizon),
            windows_of(valid, self.look_back, horizon),
            self.recipe,
        )

    def predict(self, histories: Mapping[str, Floats], horizon: int) -> dict[str, Floats]:
        """Raises FIN-055 (not fitted, or for fewer steps), FIN-053 (history shorter than the look-back).

        A series that was not fitted is scaled by its own history.
        """
        if self.network is None or horizon > self.horizon:
            raise DoyenError(
                "FIN-055", f"{self.name} was fitted for {self.horizon} steps, not for {horizon}.",
                "Fit it for this horizon or ask for fewer steps.",
            )  # fmt: skip
        shortest = min(map(len, histories.values()))
        if shortest < self.look_back:
            raise DoyenError(
                "FIN-053", f"a history has {shortest} steps; {self.name} reads {self.look_back}.",
                "Give a longer history.",
            )  # fmt: skip
        scalers = {key: self.scalers.get(key) or Scaler.of(history) for key, history in histories.items()}
        x_SL = np.stack(
            [scalers[key].scale(history[-self.look_back :]) for key, history in histories.items()]
        )
        with torch.inference_mode():
            y_SH = (
                self.network(torch.tensor(x_SL, dtype=torch.float32)[..., None])[:, :horizon, 0]
                .double()
                .numpy()
            )
        return {key: scalers[key].restore(y_H) for key, y_H in zip(histories, y_SH, strict=True)}


class DLinearModel(_Network):
    """DLinear, fitted on the series (Zeng et al. 2023)."""

    name: ClassVar[str] = "DLinear"

    def build(self, horizon: int) -> nn.Module:
        return DLinear(self.look_back, horizon)


class PatchModel(_Network):
    """The patch transformer, fitted on the series (Nie et al. 2023)."""

    name: ClassVar[str] = "PatchTransformer"

    def build(self, horizon: int) -> nn.Module:
        return PatchTransformer(PatchConfig(self.look_back, horizon))
