"""The floor: a rule without learning, cue words for the operation and shared words for the row."""

from __future__ import annotations

import re
from typing import Final

from doyen_finance.questions.calculate import calculate, rounded
from doyen_finance.questions.candidates import row_scores, wanted_years
from doyen_finance.questions.linear import units_in
from doyen_finance.questions.model import Answer, Cell, Context
from doyen_finance.questions.spans import best_sentences
from doyen_finance.questions.words import read_question

_CUES: Final = (
    ("change", re.compile(r"percentage (?:change|increase|decrease)", re.IGNORECASE)),
    ("average", re.compile(r"\baverage\b", re.IGNORECASE)),
    ("difference", re.compile(r"\b(?:change|difference|increase|decrease)\b", re.IGNORECASE)),
    ("sum", re.compile(r"\b(?:sum|total .* (?:and|both))\b", re.IGNORECASE)),
)
_TEXT: Final = re.compile(r"^(?:why|how (?:is|are|does|do|did)|what (?:does|do|did))|reason", re.IGNORECASE)


def floor_answer(text: str, context: Context) -> Answer:
    """The best row by shared words, its columns by year, the operation by cue; a whole sentence for why and how."""
    question = read_question(text)
    scores = row_scores(question, context.table)
    best = max(context.table.rows, key=lambda row: scores[row.index], default=None)
    if best is None or _TEXT.search(text):
        sentences = best_sentences(question, context.paragraphs, 1)
        parts = tuple(context.paragraphs[s.paragraph][s.start : s.end] for s in sentences)
        return Answer(parts or None, "", "text", 1.0)
    years = set(wanted_years(question))
    cells = [
        best.cells[c.index]
        for c in context.table.columns
        if c.index in best.cells and (set(c.years) & years or not years)
    ]
    cells = cells or list(best.cells.values())
    units = units_in(" ".join([*(" ".join(line) for line in context.table.grid), *context.paragraphs]))
    scale = units[0] if units else ""
    for operation, cue in _CUES:
        if cue.search(text) and len(cells) >= 2:
            operands = _newest_first(cells, context) if operation in ("change", "difference") else cells
            value = calculate(operation, [cell.number.value for cell in operands])
            if value is not None:
                return Answer(
                    (rounded(value),), "percent" if operation == "change" else scale, operation, 1.0
                )
    chosen = cells if "respective" in text.lower() else cells[:1]
    return Answer(tuple(cell.text for cell in chosen), scale, "cell", 1.0)


def _newest_first(cells: list[Cell], context: Context) -> list[Cell]:
    years = {column.index: max(column.years, default=0) for column in context.table.columns}
    return sorted(cells, key=lambda cell: -years[cell.column])[:2]
