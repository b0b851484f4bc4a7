"""The output layer at the answers only, against all positions: the same loss and gradients for less work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

ROUNDS: Final = 10


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Milliseconds of processor time for a forward and backward pass of 16 records, in turns."""
    task = bench.task(seed)
    batches = list(bench.batches(task.train[: 16 * ROUNDS], 16))
    model = bench.model(seed).train()
    seconds = {BASELINE: 0.0, TECHNIQUE: 0.0}
    apart = 0.0
    for number, batch in enumerate(batches):
        losses = {}
        gradients = {}
        for arm, passed in ((BASELINE, _whole), (TECHNIQUE, _answers)):
            model.zero_grad()
            start = time.process_time()
            loss = passed(model, batch)
            loss.backward()
            if number:  # the first round warms up
                seconds[arm] += time.process_time() - start
            losses[arm] = float(loss.detach())
            gradients[arm] = model.get_input_embeddings().weight.grad.clone()
        change = (gradients[TECHNIQUE] - gradients[BASELINE]).abs().max() / gradients[BASELINE].abs().max()
        apart = max(apart, abs(losses[TECHNIQUE] - losses[BASELINE]), float(change))
    per_pass = {arm: 1000 * spent / (len(batches) - 1) for arm, spent in seconds.items()}
    return {**per_pass, "largest difference of loss or gradient": apart}


def _whole(model: Any, batch: Mapping[str, Any]) -> Any:
    from torch.nn.functional import cross_entropy

    logits_BTV = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).logits[:, :-1]
    return cross_entropy(
        logits_BTV.flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), ignore_index=-100
    )


def _answers(model: Any, batch: Mapping[str, Any]) -> Any:
    from torch.nn.functional import cross_entropy

    from doyen_training.forward import learned_forward

    forward, _ = learned_forward(model, batch)
    return cross_entropy(forward.logits_NV, forward.labels_N)


TRIAL = Trial(
    name="answer-head",
    title="output layer at the answers only against all positions",
    rows=(17,),
    metric="ms a pass",
    higher_is_better=False,
    run=run,
)
