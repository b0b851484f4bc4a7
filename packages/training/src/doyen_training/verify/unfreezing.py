"""Progressive unfreezing: layers opened from the top in stages, against all from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doyen_training.verify.rates import tuned
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial
from doyen_training.verify.tuning import accuracy, full

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench, Task

KEPT = "loss on running text, "


def staged(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """One group of layers more every sixth of the steps, so that all are open after half of them."""
    from doyen_training.unfreezing import UnfreezingPart
    from doyen_training.verify.bench import STEPS

    model = bench.model(seed)
    groups = min(4, model.config.num_hidden_layers)
    part = UnfreezingPart(every=STEPS // 2 // (groups - 1), groups=groups)
    bench.train(model, task.train, seed=seed, learning_rate=rate, callbacks=[part.callback()])
    return model


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps; beside it what is left of the pre-training, as loss on running text."""
    text = bench.running_text("dev", 64)
    return {
        BASELINE: accuracy(bench, "full", full, seed),
        TECHNIQUE: accuracy(bench, "unfreezing", staged, seed),
        KEPT + BASELINE: bench.nll(tuned(bench, "full", full, seed), text),
        KEPT + TECHNIQUE: bench.nll(tuned(bench, "unfreezing", staged, seed), text),
        KEPT + "not tuned": bench.once("text", lambda: bench.nll(bench.model(0), text)),
    }


TRIAL = Trial(
    name="unfreezing",
    title="layers opened in stages, all open after half of the steps, against all from the start",
    rows=(12,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
    also=((KEPT + BASELINE, KEPT + TECHNIQUE),),
    arms={"unfreezing": staged},
)
