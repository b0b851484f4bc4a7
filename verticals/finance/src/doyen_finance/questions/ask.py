"""One question over all tables of a file: the best answer of the tables that its words meet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from doyen_finance.questions import answer as answering
from doyen_finance.questions.candidates import row_scores
from doyen_finance.questions.model import Answer, Context
from doyen_finance.questions.sources import read_contexts
from doyen_finance.questions.words import read_question

TABLES: Final = 3


def ask(question: str, path: Path) -> Answer:
    """Answer ``question`` from the file at ``path``, or refuse. Raises FIN-081 to FIN-084, FIN-086, FIN-087."""
    answering.check_question(question)
    return ask_contexts(question, read_contexts(path))


def ask_contexts(question: str, contexts: Sequence[Context]) -> Answer:
    """The most confident answer among the ``TABLES`` tables whose labels meet the question best."""
    models, selector = answering.shipped()
    read = read_question(question)

    def met(context: Context) -> float:
        return max(row_scores(read, context.table).values(), default=0.0)

    best = sorted(contexts, key=lambda context: -met(context))[:TABLES]
    answers = [answering.answer(question, context, models, selector) for context in best]
    return max(answers, key=lambda found: (found.answer is not None, found.confidence))
