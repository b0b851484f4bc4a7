"""Factuality penalty: half of the records say only what an answer is not; penalise that, or leave it out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from doyen_data import Message, Record
from doyen_training.verify.rates import rate_of
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.masking import Example
    from doyen_training.verify.bench import Bench


def wrong_answer(record: Record, classes: Sequence[str], draw: random.Random) -> Record:
    """The record with a wrong answer that is marked as false."""
    question, answer = record.messages
    wrong = draw.choice([name for name in classes if name != answer.content])
    false = Message(role="assistant", content=wrong, false=((0, len(wrong)),))
    return Record(id=f"{record.id}-false", group=record.group, messages=(question, false))


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy, and the probability of wrong answers to held-out questions, after the same steps on the same rows."""
    from doyen_training.losses.cross_entropy import CrossEntropy
    from doyen_training.losses.factuality import Factuality

    task, draw = bench.task(seed), random.Random(seed)
    half = len(task.train) // 2
    drawn = bench.records("train", len(task.train), seed)
    train = task.train[:half] + bench.examples([wrong_answer(r, bench.classes, draw) for r in drawn[half:]])
    held = bench.examples([wrong_answer(record, bench.classes, draw) for record in task.dev])
    figures: dict[str, float] = {}
    for arm, terms in ((BASELINE, [CrossEntropy()]), (TECHNIQUE, [CrossEntropy(), Factuality()])):
        model = bench.model(seed)
        bench.train(model, train, terms, seed=seed, learning_rate=rate_of("full"))
        figures[arm] = bench.accuracy(model, task.dev)
        figures[f"probability of a wrong answer, {arm}"] = probability(bench, model, held)
        figures[f"loss of the right answer, {arm}"] = bench.nll(model, task.dev_examples)
    return figures


def probability(bench: Bench, model: Any, examples: Sequence[Example]) -> float:
    """Mean probability of the first token of each false answer: the later ones follow from it."""
    import torch

    from doyen_training.forward import score

    total = 0.0
    model.eval()
    start = 0
    for batch in bench.batches(examples):
        rows = examples[start : start + len(batch["input_ids"])]
        start += len(rows)
        first_B = torch.tensor([example.false[0] for example in rows])
        places_B = torch.arange(len(rows)) * batch["input_ids"].shape[1] + first_B - 1
        with torch.no_grad():
            inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
            chances_BV = score(model, inputs, places_B)[2].softmax(-1)
        tokens_B = batch["input_ids"].flatten()[places_B + 1]
        total += float(chances_BV.gather(1, tokens_B[:, None]).sum())
    return total / len(examples)


TRIAL = Trial(
    name="factuality",
    title="half of the records with a wrong answer marked as false: penalised against left out",
    rows=(28,),
    metric="accuracy",
    higher_is_better=True,
    run=run,
    also=((f"probability of a wrong answer, {BASELINE}", f"probability of a wrong answer, {TECHNIQUE}"),),
)
