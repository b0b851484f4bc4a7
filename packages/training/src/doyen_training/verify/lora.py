"""LoRA against tuning every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_training.verify.trial import Trial
from doyen_training.verify.tuning import against_full, full, with_method

if TYPE_CHECKING:
    from doyen_modeling.methods import MethodPart


def _method(seed: int) -> MethodPart:  # noqa: ARG001 (the torch seed draws its start)
    from doyen_modeling.methods import Lora

    return Lora(rank=8, alpha=16)


ARM = with_method(_method)
TRIAL = Trial(
    name="lora",
    title="LoRA of rank 8 against full tuning",
    rows=(1,),
    metric="accuracy",
    higher_is_better=True,
    claim="on par with full tuning or better, RoBERTa to GPT-3 (the paper's abstract)",
    run=against_full("lora", ARM),
    arms={"full": full, "lora": ARM},
)
