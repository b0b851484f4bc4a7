"""Progressive unfreezing: layers opened from the top in stages, against all from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy after the same steps; beside it what is left of the pre-training, as loss on running text."""
    from doyen_training.unfreezing import UnfreezingPart
    from doyen_training.verify.bench import STEPS

    task = bench.task(seed)
    text = bench.running_text("dev", 64)
    groups = min(4, bench.model(seed).config.num_hidden_layers)
    part = UnfreezingPart(every=STEPS // (2 * groups), groups=groups)
    arms, forgotten = {}, {}
    staged = bench.model(seed)
    bench.train(staged, task.train, seed=seed, callbacks=[part.callback()])
    for arm, model in ((BASELINE, bench.plain(seed)), (TECHNIQUE, staged)):
        arms[arm] = bench.accuracy(model, task.dev)
        forgotten[f"loss on running text, {arm}"] = bench.nll(model, text)
    return arms | forgotten


TRIAL = Trial(
    name="unfreezing",
    title="layers opened in stages, all open after half of the steps, against all from the start",
    rows=(12,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
