"""Prompt tuning against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full, with_method

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method(seed: int) -> MethodPart:
    from doyen_modeling.methods import Prompt

    return Prompt(tokens=16, seed=seed)


ARM = with_method(_method)
TRIAL = Trial(
    name="prompt",
    title="16 prompt tokens against full tuning",
    rows=(4,),
    metric="accuracy",
    higher_is_better=True,
    claim="closes the gap to full tuning beyond billions of parameters, T5 (the paper's abstract)",
    run=against_full("prompt", ARM),
    arms={"prompt": ARM},
)
