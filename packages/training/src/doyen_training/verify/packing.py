"""Packing: several samples a row that do not see each other, against padded rows of like length, the default."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

CAPACITY: Final = 256
STEPS: Final = 12
RANDOM: Final = "random order"


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Tokens of text (padding does not count) for a second of processor time; and that the losses are the same."""
    task = bench.task(seed)
    arms = {}
    for arm, options in (
        (BASELINE, {"batch_size": 16}),
        (RANDOM, {"batch_size": 16, "settings": {"train_sampling_strategy": "random"}}),
        (TECHNIQUE, {"batch_size": 4, "pack_to": CAPACITY}),
    ):
        model = bench.model(seed)
        bench.train(model, task.train, steps=1, seed=seed, **options)  # first calls are slower
        start = time.process_time()
        trainer = bench.train(model, task.train, steps=STEPS, seed=seed, **options)
        arms[arm] = trainer.tokens_seen / (time.process_time() - start)
    arms["largest difference of a loss"] = _difference(bench, task.train[:32], seed)
    return arms


def _difference(bench: Bench, examples: Any, seed: int) -> float:
    """The largest difference of a token's loss, in nats, between packed rows and rows of one sample."""
    import torch

    from doyen_training.collate import Collator, pack
    from doyen_training.forward import learned_forward

    model = bench.model(seed).eval()
    rows = pack([len(example.input_ids) for example in examples], CAPACITY)
    packed = Collator(examples, 0, packed=True)([{"indices": row} for row in rows])
    order = [index for row in rows for index in row]
    alone = Collator([examples[i] for i in order], 0)([{"indices": [i]} for i in range(len(order))])
    with torch.no_grad():
        losses = [
            torch.nn.functional.cross_entropy(f.logits_NV, f.labels_N, reduction="none")
            for f in (learned_forward(model, batch)[0] for batch in (packed, alone))
        ]
    return float((losses[0] - losses[1]).abs().max())


TRIAL = Trial(
    name="packing",
    title=f"samples packed into rows of {CAPACITY} tokens against padded rows grouped by length, the trainer's default",
    rows=(17,),
    metric="tokens a processor second",
    higher_is_better=True,
    run=run,
    also=((RANDOM, TECHNIQUE), (RANDOM, BASELINE)),
    claim="3.7 times (TRL, pull request 3526: Qwen2.5-0.5B, FlashAttention-2 on a GPU)",
)
