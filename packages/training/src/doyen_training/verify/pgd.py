"""Adversarial tuning in embedding space: the loss under attack at equal clean loss, with and without it.

An attack in training costs clean loss, and a model that is merely less tuned can look robust. So the plain model is
trained for each of ``PLAIN_STEPS``, and the one is compared whose clean loss on clauses of held-back train contracts
is nearest to the hardened model's. Both are then measured on the dev contracts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.rates import rate_of
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.masking import Example
    from doyen_training.verify.bench import Bench, Task

EPSILON: Final = 0.3
ATTACK_STEPS: Final = 5  # more than the two that training uses
STEPS: Final = 60  # of the hardened model
PLAIN_STEPS: Final = (20, 30, 40, 50, 60)
MEASURED: Final = 160
CLEAN: Final = "clean loss, "


def hardened(bench: Bench, task: Task, seed: int, rate: float) -> Any:
    """Half of the loss is under attack; a step costs about four times the passes."""
    from doyen_training.losses.cross_entropy import CrossEntropy
    from doyen_training.losses.pgd import Pgd

    model = bench.model(seed)
    terms = [CrossEntropy(0.5), Pgd(0.5, epsilon=EPSILON)]
    bench.train(model, task.train, terms, steps=STEPS, seed=seed, learning_rate=rate)
    return model


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Held-out loss under attack of the hardened model and of the plain one with the same clean loss."""
    task = bench.task(seed, dev=MEASURED, splits=("fit", "dev"))
    held = bench.examples(bench.records("hold", MEASURED, seed))
    hard = hardened(bench, task, seed, rate_of("pgd"))
    wanted = bench.nll(hard, held)
    plain: dict[int, Any] = {}
    for steps in PLAIN_STEPS:
        plain[steps] = bench.model(seed)
        bench.train(plain[steps], task.train, steps=steps, seed=seed, learning_rate=rate_of("full"))
    steps = nearest({steps: bench.nll(model, held) for steps, model in plain.items()}, wanted)
    return {
        BASELINE: attacked(bench, plain[steps], task.dev_examples),
        TECHNIQUE: attacked(bench, hard, task.dev_examples),
        CLEAN + BASELINE: bench.nll(plain[steps], task.dev_examples),
        CLEAN + TECHNIQUE: bench.nll(hard, task.dev_examples),
        "plain steps": float(steps),
    }


def nearest(losses: Mapping[int, float], wanted: float) -> int:
    """The number of steps whose loss is nearest to ``wanted``."""
    return min(losses, key=lambda steps: abs(losses[steps] - wanted))


def attacked(bench: Bench, model: Any, examples: Sequence[Example]) -> float:
    """Mean loss of the learned tokens when the embeddings are disturbed for the worse, in nats."""
    import torch

    from doyen_training.forward import learned_forward
    from doyen_training.losses.pgd import attack, embed, logits_at

    model.eval()
    model.requires_grad_(False)  # the attack needs the slope of the disturbance alone
    total, count = 0.0, 0
    for batch in bench.batches(examples):
        forward, _ = learned_forward(model, batch)
        embeds_BTD, rms = embed(forward)
        delta_BTD = attack(forward, embeds_BTD.detach(), EPSILON * rms, ATTACK_STEPS, 0.4)
        with torch.no_grad():
            logits_NV = logits_at(forward, embeds_BTD + delta_BTD)
        total += float(torch.nn.functional.cross_entropy(logits_NV, forward.labels_N, reduction="sum"))
        count += len(forward.labels_N)
    return total / count


TRIAL = Trial(
    name="pgd",
    title=f"half of the loss under attack (ε {EPSILON} of the embedding RMS, about four passes a step) against the plain "
    "loss, the plain model trained to about the same clean loss",
    rows=(25,),
    metric="held-out loss under attack, nats",
    higher_is_better=False,
    run=run,
    also=((CLEAN + BASELINE, CLEAN + TECHNIQUE),),
)
