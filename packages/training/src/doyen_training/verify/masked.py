"""Scored parameter masks against random masks of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import tuned

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

RATE: Final = 5e-3


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy with as many tuned weights, chosen by score or drawn."""
    from doyen_modeling.methods import Masked

    accuracy, share = tuned(bench, seed, Masked(rank=4, score="taylor", seed=seed), RATE)
    return {
        BASELINE: tuned(bench, seed, Masked(rank=4, score="random", seed=seed), RATE)[0],
        TECHNIQUE: accuracy,
        "share of the parameters": share,
    }


TRIAL = Trial(
    name="masked",
    title="weights chosen by |g·w| against as many random ones",
    rows=(8,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
