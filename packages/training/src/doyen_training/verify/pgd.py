"""Adversarial tuning in embedding space: the loss under attack, with and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.masking import Example
    from doyen_training.verify.bench import Bench

EPSILON: Final = 0.3
ATTACK_STEPS: Final = 5  # more than the two that training uses


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Held-out loss under attack after the same steps; a step with the attack costs about four times the passes."""
    from doyen_training.losses.cross_entropy import CrossEntropy
    from doyen_training.losses.pgd import Pgd

    task = bench.task(seed)
    held = task.dev_examples[:96]
    arms, clean = {}, {}
    hardened = bench.model(seed)
    bench.train(hardened, task.train, [CrossEntropy(0.5), Pgd(0.5, epsilon=EPSILON)], seed=seed)
    for arm, model in ((BASELINE, bench.plain(seed)), (TECHNIQUE, hardened)):
        arms[arm] = attacked(bench, model, held)
        clean[f"clean loss, {arm}"] = bench.nll(model, held)
    return arms | clean


def attacked(bench: Bench, model: Any, examples: Sequence[Example]) -> float:
    """Mean loss of the learned tokens when the embeddings are disturbed for the worse, in nats."""
    import torch

    from doyen_training.forward import learned_forward
    from doyen_training.losses.pgd import attack, embed, logits_at

    model.eval()
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
    title=f"half of the loss under attack (ε {EPSILON} of the embedding RMS) against the plain loss",
    rows=(25,),
    metric="held-out loss under attack, nats",
    higher_is_better=False,
    run=run,
)
