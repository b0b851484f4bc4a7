"""Prefix tuning against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full, with_method

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method(seed: int) -> MethodPart:
    from doyen_modeling.methods import Prefix

    return Prefix(tokens=16, seed=seed)


ARM = with_method(_method)
TRIAL = Trial(
    name="prefix",
    title="16 prefix tokens against full tuning",
    rows=(3,),
    metric="accuracy",
    higher_is_better=True,
    claim="comparable to full tuning with 0.1 % of the parameters, GPT-2 and BART (the paper's abstract)",
    run=against_full("prefix", ARM),
    arms={"prefix": ARM},
)
