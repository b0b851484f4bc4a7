"""From a score to a probability: isotonic regression kept as its corner points (Zadrozny and Elkan 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EPSILON = 1e-4


@dataclass(frozen=True)
class Calibration:
    """Piecewise linear between corners; both arrays rise, (C,)."""

    score: Floats
    probability: Floats

    def __call__(self, score_N: NDArray[Any]) -> Floats:
        """The probability of each score, (N,); beyond the ends, that of the end."""
        return np.interp(score_N, self.score, self.probability)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The corners, for safetensors."""
        return {"calibration.score": self.score, "calibration.probability": self.probability}


def fit_isotonic(score_N: Floats, label_N: NDArray[np.int64]) -> Calibration:
    """Of scores that the model gave to rows it was not fitted on."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(score_N, label_N)
    return Calibration(fitted.X_thresholds_.astype(np.float64), fitted.y_thresholds_.astype(np.float64))


def log_odds(probability: NDArray[Any]) -> Floats:
    """The logit, with probabilities held within 1e-4 of 0 and 1."""
    p = np.clip(np.asarray(probability, np.float64), EPSILON, 1 - EPSILON)
    return np.log(p / (1 - p))


def calibration_error(label_N: NDArray[np.int64], probability_N: Floats, bins: int = 15) -> float:
    """Expected calibration error of the positive class's probability, bins of equal width (Naeini et al. 2015)."""
    at = np.clip((probability_N * bins).astype(np.int64), 0, bins - 1)
    gap = np.bincount(at, probability_N - label_N, minlength=bins)
    return float(np.abs(gap).sum() / len(label_N))
