"""Scored parameter masks against random masks of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from doyen_training.verify.rates import tuned
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Arm, Trial
from doyen_training.verify.tuning import accuracy, share, with_method

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart
    from doyen_training.verify.bench import Bench


def _masked(score: Literal["taylor", "random"]) -> Arm:
    def method(seed: int) -> MethodPart:
        from doyen_modeling.methods import Masked

        return Masked(rank=4, score=score, seed=seed)

    return with_method(method)


ARMS: Final[dict[str, Arm]] = {"masked": _masked("taylor"), "masked at random": _masked("random")}


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy with as many tuned weights, chosen by score or drawn."""
    return {
        BASELINE: accuracy(bench, "masked at random", ARMS["masked at random"], seed),
        TECHNIQUE: accuracy(bench, "masked", ARMS["masked"], seed),
        "share of the parameters": share(bench, tuned(bench, "masked", ARMS["masked"], seed)),
    }


TRIAL = Trial(
    name="masked",
    title="weights chosen by |g·w| against as many random ones",
    rows=(8,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
