"""Prefix tuning against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method() -> MethodPart:
    from doyen_modeling.methods import Prefix

    return Prefix(tokens=16)


TRIAL = Trial(
    name="prefix",
    title="16 prefix tokens against full tuning",
    rows=(3,),
    metric="accuracy",
    higher_is_better=True,
    run=against_full(_method, 3e-2),
)
