"""Training records: a case, its steps where they are learned, and the letter of the right candidate.

The candidates stand in an order drawn by the case's id, so that no letter is right more often. In one record of four
the steps (symptom analysis, candidates, exclusion) are learned before the conclusion; the others ask for the
conclusion at once. A record whose steps do not pass the check, or that is too long, is dropped and counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from doyen_medical.llm import prompt
from doyen_medical.llm.check import IsTerm, check
from doyen_medical.llm.facts import LETTERS, Facts
from doyen_medical.llm.questions import Question

if TYPE_CHECKING:
    from doyen_data import Record

REASONED: Final = 4
"""One record of so many teaches the steps."""
LONGEST: Final = 1_500
"""Characters of a record: about 450 tokens."""


class Built(NamedTuple):
    """Records, and how many questions were left out for which reason."""

    records: list[Record]
    left_out: dict[str, int]


def build_records(questions: Iterable[Question], is_term: IsTerm, seed: int) -> Built:
    """Records of the questions whose right candidate is shown, shuffled."""
    records: list[Record] = []
    left_out: Counter[str] = Counter()
    for number, question in enumerate(questions):
        if question.truth < 0:
            left_out["truth-not-shown"] += 1
            continue
        count = len(question.facts.options)
        order = random.Random(f"{seed}:{question.id}").sample(range(count), count)
        facts, letter = question.facts.reordered(order), LETTERS[order.index(question.truth)]
        found = _record(question, facts, letter, is_term, reasoned=number % REASONED == 0)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            records.append(found)
    random.Random(seed).shuffle(records)
    return Built(records, dict(left_out))


def _record(
    question: Question, facts: Facts, letter: str, is_term: IsTerm, *, reasoned: bool
) -> Record | str:
    """The record, or the reason why it is none."""
    from doyen_data import Message, Record

    sentences = prompt.steps(facts)
    if dropped := check(sentences, facts, is_term).dropped:
        return min(dropped)
    answer = Message(role="assistant", content=letter, train=True)
    if reasoned:
        steps = Message(role="assistant", content="\n".join(sentences), train=True)
        messages = [*map(Message.model_validate, prompt.reason(facts)), steps]
        messages += [Message.model_validate(prompt.then_conclude()), answer]
    else:
        messages = [*map(Message.model_validate, prompt.conclude(facts)), answer]
    if sum(len(message.content) for message in messages) > LONGEST:
        return "long"
    return Record(id=question.id, group=question.paper, messages=tuple(messages))
