"""IA³ against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full, with_method

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method(seed: int) -> MethodPart:  # noqa: ARG001 (nothing is drawn)
    from doyen_modeling.methods import IA3

    return IA3()


ARM = with_method(_method)
TRIAL = Trial(
    name="ia3",
    title="IA³ against full tuning",
    rows=(6,),
    metric="accuracy",
    higher_is_better=True,
    run=against_full("ia3", ARM),
    arms={"ia3": ARM},
)
