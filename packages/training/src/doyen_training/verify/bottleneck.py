"""Bottleneck adapters against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full, with_method

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method(seed: int) -> MethodPart:
    from doyen_modeling.methods import Bottleneck

    return Bottleneck(rank=16, seed=seed)


ARM = with_method(_method)
TRIAL = Trial(
    name="bottleneck",
    title="bottleneck adapters of rank 16 against full tuning",
    rows=(5,),
    metric="accuracy",
    higher_is_better=True,
    claim="within 0.4 % of full tuning with 3.6 % more parameters, BERT on GLUE (the paper's abstract)",
    run=against_full("bottleneck", ARM),
    arms={"bottleneck": ARM},
)
