"""Bootstrap over groups: whole contracts, papers or companies are drawn, so that related items stay together.

Shape legend: G groups, D draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def group_weights(groups: int, draws: int, seed: int) -> Floats:
    """How often each of ``groups`` is drawn in each sample with replacement, (D, G) (Efron 1979)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)


def interval(values: Floats, level: float = 0.95) -> tuple[float, float] | None:
    """The percentile interval of drawn figures; draws that leave the figure undefined (NaN) are left out."""
    if values.size == 0 or np.isnan(values).all():
        return None
    tail = (1 - level) / 2
    return float(np.nanquantile(values, tail)), float(np.nanquantile(values, 1 - tail))


def ratio_ci(
    parts: Floats, wholes: Floats, *, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """The interval of ``sum(parts) / sum(wholes)`` over groups, both (G,); None when no draw defines it."""
    if len(parts) == 0:
        return None
    weights_DG = group_weights(len(parts), draws, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval((weights_DG @ parts) / (weights_DG @ wholes), level)


def index_ci(
    groups: NDArray[np.int64],
    figure: Callable[[NDArray[np.int64]], float],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """The interval of any figure of the items, given their group's number each; ``figure`` gets drawn indices."""
    if len(groups) == 0:
        return None
    names, inverse = np.unique(groups, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    rng = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        picked = rng.integers(len(names), size=len(names))
        values[draw] = figure(np.concatenate([members[group] for group in picked]))
    return interval(values, level)
