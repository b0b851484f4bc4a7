"""Bottleneck adapters against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method() -> MethodPart:
    from doyen_modeling.methods import Bottleneck

    return Bottleneck(rank=16)


TRIAL = Trial(
    name="bottleneck",
    title="bottleneck adapters of rank 16 against full tuning",
    rows=(5,),
    metric="accuracy",
    higher_is_better=True,
    run=against_full(_method, 1e-2),
)
