"""Logic consistency: two ways to ask the same must have the same answer, by unlabelled rules, against labels alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from doyen_data import Message, Record
from doyen_training.verify.rates import rate_of
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

LINKED: Final = 256  # clauses that the rules speak of; their types are not used
RULES: Final = 8  # at each step
WEIGHT: Final = 0.3


def asked_otherwise(record: Record) -> Record:
    """The same question in other words, with the same answer."""
    question, answer = record.messages
    other = Message(role="user", content=f"Clause of a contract: “{question.content}” Its type?")
    return Record(id=f"{record.id}-other", group=record.group, messages=(other, answer))


def answered(record: Record, name: str) -> Record:
    """The statement that the record's clause is of type ``name``."""
    answer = Message(role="assistant", content=name)
    return Record(id=record.id, group=record.group, messages=(record.messages[0], answer))


def statements(
    records: Sequence[Record], classes: Sequence[str], draw: random.Random
) -> tuple[list[Record], list[tuple[tuple[int, ...], int]]]:
    """For each clause a type drawn at random, asserted in both ways; and that each assertion implies the other."""
    found: list[Record] = []
    rules: list[tuple[tuple[int, ...], int]] = []
    for record in records:
        plain = answered(record, draw.choice(list(classes)))
        here = len(found)
        found += [plain, asked_otherwise(plain)]
        rules += [((here,), here + 1), ((here + 1,), here)]
    return found, rules


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """How often both ways to ask get one answer, and accuracy in each way, after the same steps on the same labels."""
    from doyen_training.losses.consistency import Consistency
    from doyen_training.losses.cross_entropy import CrossEntropy

    task = bench.task(seed)
    records, rules = statements(
        bench.records("train", LINKED, seed + 1000), bench.classes, random.Random(seed)
    )
    others = [asked_otherwise(record) for record in task.dev]
    figures: dict[str, float] = {}
    for arm in (BASELINE, TECHNIQUE):
        model = bench.model(seed)
        terms = [CrossEntropy(), *([Consistency(records, rules, WEIGHT, RULES)] if arm == TECHNIQUE else [])]
        bench.train(model, task.train, terms, seed=seed, learning_rate=rate_of("full"))
        first, second = bench.predict(model, task.dev), bench.predict(model, others)
        figures[arm] = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
        figures[f"accuracy, {arm}"] = bench.accuracy(model, task.dev)
        figures[f"accuracy asked otherwise, {arm}"] = bench.accuracy(model, others)
    return figures


TRIAL = Trial(
    name="consistency",
    title="labels in one phrasing, with unlabelled rules that another phrasing has the same answer "
    f"({2 * RULES} rows of statements more a step), against without",
    rows=(29,),
    metric="share of questions with one answer in both phrasings",
    higher_is_better=True,
    run=run,
    also=(
        (f"accuracy, {BASELINE}", f"accuracy, {TECHNIQUE}"),
        (f"accuracy asked otherwise, {BASELINE}", f"accuracy asked otherwise, {TECHNIQUE}"),
    ),
)
