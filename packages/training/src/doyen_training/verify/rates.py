"""The learning rate of every arm, chosen in one way on train contracts alone.

The rule: from ``START`` down and up in factors of about three, as long as the loss falls on clauses of train
contracts that were held back (``hold``), after the bench's steps on clauses of the other train contracts (``fit``);
one seed that no trial uses. The dev contracts, on which the trials are measured, have no part in it.

``doyen verify --rates`` does it again and keeps every loss that was seen; a test holds ``RATES`` to what it found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench
    from doyen_training.verify.trial import Arm, Trial

GRID: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
START: Final = 1e-2
SEED: Final = 100

RATES: Final[Mapping[str, float]] = {
    "full": 3e-3,
    "all tokens": 1e-2,
    "bottleneck": 3e-2,
    "ia3": 3e-1,
    "lora": 1e-2,
    "prefix": 3e-1,
    "prompt": 3e-1,
    "constant rate": 1e-3,
    "unfreezing": 3e-3,
    "random experts": 3e-2,
    "routers alone": 1e-2,
}
# What differs from another arm in its start, scale or depth, in which weights of the same kind it tunes, in number or
# order of its rows or in the terms of its loss has the other's rate.
SHARED: Final[Mapping[str, str]] = {
    "pissa": "lora",
    "dora": "lora",
    "rslora": "lora",
    "masked": "full",
    "masked at random": "full",
    "selected experts": "random experts",
    "all experts": "random experts",
    "random order": "full",
    "easy first": "full",
    "fixed weights": "full",
    "gradnorm": "full",
    "uncertainty": "full",
    "pgd": "full",
    "student": "full",
    "distilled": "full",
    "attention": "full",
    "more labels": "full",
    "on-policy": "full",
}


def all_arms(trials: Iterable[Trial]) -> dict[str, Arm]:
    """Every arm that has a rate of its own, by name."""
    return {name: arm for trial in trials for name, arm in trial.arms.items()}


def rate_of(name: str) -> float:
    """The learning rate of an arm."""
    return RATES[SHARED.get(name, name)]


def tuned(bench: Bench, name: str, arm: Arm, seed: int) -> Any:
    """The model of an arm on the usual task with its chosen rate; made once, not to be changed."""
    return bench.once(("tuned", name, seed), lambda: arm(bench, bench.task(seed), seed, rate_of(name)))


def held_losses(bench: Bench, arm: Arm) -> dict[float, float]:
    """The loss on held-back train clauses by learning rate, in nats a token; infinite where training broke down."""
    task = bench.task(SEED, splits=("fit", "hold"))

    def loss(rate: float) -> float:
        try:
            found = bench.nll(arm(bench, task, SEED, rate), task.dev_examples)
        except DoyenError as error:
            if error.code != "TRN-006":
                raise
            return math.inf
        return found if math.isfinite(found) else math.inf

    return descend(loss)


def descend(loss: Callable[[float], float]) -> dict[float, float]:
    """``loss`` at ``START`` and at the rates of the grid below and above it, each way until it no longer falls."""
    start = GRID.index(START)
    found = {START: loss(START)}
    for way in (-1, 1):
        place, best = start, found[START]
        while 0 <= place + way < len(GRID):
            place += way
            found[GRID[place]] = here = loss(GRID[place])
            if here >= best:
                break
            best = here
        if min(found.values()) < found[START]:
            break
    return dict(sorted(found.items()))


def best(losses: Mapping[float, float]) -> float:
    """The rate of the lowest loss."""
    return min(losses, key=lambda rate: losses[rate])
