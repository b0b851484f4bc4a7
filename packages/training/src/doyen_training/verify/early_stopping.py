"""Early stopping on a held-out figure against training to the last step, on few records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

RECORDS: Final = 64  # so few that a long training learns them by heart
EVERY: Final = 20
PATIENCE: Final = 2


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Loss on records that neither trained the model nor stopped it."""
    from transformers import EarlyStoppingCallback

    task = bench.task(seed, train=RECORDS)
    stopping, test = task.dev_examples[::2], task.dev_examples[1::2]
    plain = bench.model(seed)
    bench.train(plain, task.train, seed=seed)
    stopped = bench.model(seed)
    trainer = bench.train(
        stopped,
        task.train,
        seed=seed,
        evaluate=lambda model: {"stopping": bench.nll(model, stopping)},
        dev=stopping[:1],
        callbacks=[EarlyStoppingCallback(early_stopping_patience=PATIENCE)],
        settings={
            "eval_strategy": "steps",
            "eval_steps": EVERY,
            "save_strategy": "steps",
            "save_steps": EVERY,
            "metric_for_best_model": "eval_stopping",
            "greater_is_better": False,
        },
    )
    return {
        BASELINE: bench.nll(plain, test),
        TECHNIQUE: bench.nll(stopped, test),
        "steps taken": float(trainer.state.global_step),
    }


TRIAL = Trial(
    name="early-stopping",
    title=f"best of the checkpoints by half of the dev records, patience {PATIENCE}, against the last step; {RECORDS} "
    "records, measured on the other half",
    rows=(30,),
    metric="held-out loss, nats",
    higher_is_better=False,
    run=run,
)
