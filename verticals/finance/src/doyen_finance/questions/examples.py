"""Training examples of the selector out of labelled candidates and gold answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from doyen_finance.questions.candidates import FAMILIES
from doyen_finance.questions.model import Program
from doyen_finance.questions.selector import TableExample, TextExample
from doyen_finance.questions.tatqa import Item

TEXT_FAMILY = "text"


def table_example(item: Item, programs: Sequence[Program], right: Sequence[int]) -> TableExample:
    """The rows and columns that the first right candidate rests on."""
    rows: set[int] = set()
    columns: set[int] = set()
    family = -1
    if right:
        program = programs[right[0]]
        family = FAMILIES.index(program.operation)
        cells = program.basis or program.cells
        rows = {cell.row for cell in cells if cell.row >= 0} | {r for r, c in program.labels if c == 0}
        columns = {cell.column for cell in cells if cell.column >= 0} | {
            c for _, c in program.labels if c > 0
        }
    elif item.gold.source == "text" and item.gold.kind != "arithmetic":
        family = FAMILIES.index(TEXT_FAMILY)
    return TableExample(item.question, item.context, frozenset(rows), frozenset(columns), family)


def text_answers(item: Item) -> list[tuple[int, int, int]]:
    """Where the gold answer stands in the paragraphs: paragraph, start, end; white space and case do not count."""
    if item.gold.kind != "span" or not isinstance(item.gold.answer, list) or not item.gold.answer:
        return []
    parts = [re.escape(part) for part in str(item.gold.answer[0]).strip().rstrip(".").split()]
    if not parts:
        return []
    pattern = re.compile(r"(?<!\w)" + r"\s+".join(parts) + r"(?!\w)", re.IGNORECASE)
    return [
        (number, *found.span())
        for number, text in enumerate(item.context.paragraphs)
        for found in pattern.finditer(text)
    ]


def text_examples(items: Sequence[Item], families: Sequence[str], epoch: int, seed: int) -> list[TextExample]:
    """Every answer that stands in a paragraph, and half as many paragraphs that do not answer, drawn anew each epoch."""
    rng = np.random.default_rng([seed, epoch])
    answered, silent = [], []
    for item, family in zip(items, families, strict=True):
        if not item.context.paragraphs:
            continue
        places = text_answers(item) if family in (TEXT_FAMILY, "") else []
        if places:
            number, start, end = places[0]
            answered.append(TextExample(item.question, item.context.paragraphs[number], (start, end)))
        held = {number for number, _, _ in places}
        others = [n for n in range(len(item.context.paragraphs)) if n not in held]
        if others and (places or family not in (TEXT_FAMILY, "")):
            silent.append(TextExample(item.question, item.context.paragraphs[int(rng.choice(others))], None))
    drawn = rng.permutation(len(silent))[: (len(answered) + 1) // 2]
    return answered + [silent[i] for i in drawn]
