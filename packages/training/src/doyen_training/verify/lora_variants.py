"""PiSSA, DoRA and the rank-stabilised scale against plain LoRA of the same rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify import lora
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Arm, Trial
from doyen_training.verify.tuning import accuracy, with_method

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench


def _variant(**options: Any) -> Arm:
    def method(seed: int) -> Any:  # noqa: ARG001 (the torch seed draws its start)
        from doyen_modeling.methods import Lora

        return Lora(rank=8, alpha=16, **options)

    return with_method(method)


ARMS: Final[dict[str, Arm]] = {
    "pissa": _variant(init="pissa"),
    "dora": _variant(dora=True),
    "rslora": _variant(rslora=True),
}


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy at rank 8."""
    return {
        BASELINE: accuracy(bench, "lora", lora.ARM, seed),
        TECHNIQUE: accuracy(bench, "pissa", ARMS["pissa"], seed),
        "DoRA": accuracy(bench, "dora", ARMS["dora"], seed),
        "rsLoRA": accuracy(bench, "rslora", ARMS["rslora"], seed),
    }


TRIAL = Trial(
    name="lora-variants",
    title="LoRA started from the principal components (PiSSA) against plain LoRA",
    rows=(1,),
    metric="accuracy",
    higher_is_better=True,
    claim="77.7 % against 74.5 %, Gemma-7B on GSM8K (PiSSA's abstract)",
    run=run,
    also=((BASELINE, "DoRA"), (BASELINE, "rsLoRA")),
)
