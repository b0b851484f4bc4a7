"""PiSSA, DoRA and the rank-stabilised scale against plain LoRA of the same rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import tuned

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

RATE: Final = 1e-2


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy at rank 8 with the same rate."""
    from doyen_modeling.methods import Lora

    return {
        BASELINE: tuned(bench, seed, Lora(rank=8, alpha=16), RATE)[0],
        TECHNIQUE: tuned(bench, seed, Lora(rank=8, alpha=16, init="pissa"), RATE)[0],
        "DoRA": tuned(bench, seed, Lora(rank=8, alpha=16, dora=True), RATE)[0],
        "rsLoRA": tuned(bench, seed, Lora(rank=8, alpha=16, rslora=True), RATE)[0],
    }


TRIAL = Trial(
    name="lora-variants",
    title="LoRA started from the principal components (PiSSA) against plain LoRA",
    rows=(1,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
