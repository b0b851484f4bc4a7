"""A question over a table and its paragraphs to an answer that cites its cells, or a refusal that says why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from doyen_finance.questions.calculate import written
from doyen_finance.questions.candidates import FAMILIES, programs, row_scores
from doyen_finance.questions.features import Reader, Signals
from doyen_finance.questions.linear import LinearModel, question_signs, scale_signs
from doyen_finance.questions.model import Answer, Cell, Citation, Context, Program, Span, Table
from doyen_finance.questions.ranker import Ranker
from doyen_finance.questions.spans import Sentence, best_sentences, sentences_of
from doyen_finance.questions.tables import whole
from doyen_finance.questions.words import ASKING, Question, content, read_question
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.questions.selector import Selector

MAX_QUESTION: Final = 2_000
SENTENCES: Final = 6
SELECTED_SENTENCES: Final = 3
SELECTED_SPANS: Final = 6
READ_PARAGRAPHS: Final = 3
LEAST_READ: Final = math.log(0.03)
LEAST_MENTIONED: Final = 0.34
_ABOUT_TABLES: Final = content(
    "table item component segment period represent included include including listed highlighted unit used data factor "
    "primary main reason types type category categories statement department"
)
LEAST_FAMILY: Final = math.log(0.004)
_SCALE_OF: Final = {3: "thousand", 6: "million", 9: "billion"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """The candidates of a question and their features, a row each."""

    question: Question
    programs: list[Program]
    features: np.ndarray


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer that has most probability over all ways to it, and the best way."""

    program: Program
    scale: str
    probability: float


@dataclass(frozen=True, slots=True)
class Models:
    """All that answers a question. ``knots`` map a raw probability to how often such answers are right."""

    operations: LinearModel
    scales: LinearModel
    ranker: Ranker
    knots: tuple[tuple[float, float], ...]
    threshold: float

    def confidence(self, probability: float) -> float:
        """The calibrated confidence, piecewise linear."""
        return float(np.interp(probability, [x for x, _ in self.knots], [y for _, y in self.knots]))


def prepare(text: str, context: Context, families: Mapping[str, float], signals: Signals) -> Prepared:
    """Enumerate and describe the candidates. ``families`` are logarithms of the operations' probabilities."""
    question = read_question(text)
    scores = row_scores(question, context.table)
    sentences = _sentences(question, context, signals)
    likely = frozenset(
        name for name in FAMILIES
        if families.get(name, -99.0) > LEAST_FAMILY or signals.families.get(name, -99.0) > LEAST_FAMILY + 2
    )  # fmt: skip
    found = programs(question, context, scores, sentences, likely)
    if "text" in likely:
        found += _selected_spans(context, sentences, signals)
    found = list(dict.fromkeys(found))
    reader = Reader(question, context, scores, sentences, families, signals)
    return Prepared(question, found, reader.matrix(found))


def choose(prepared: Prepared, context: Context, ranker: Ranker, scales: LinearModel) -> Chosen | None:
    """The answer with the greatest summed probability; None when there is no candidate."""
    if not prepared.programs:
        return None
    probabilities = ranker.probabilities(prepared.features)
    totals: dict[tuple[str, ...], float] = {}
    for program, probability in zip(prepared.programs, probabilities.tolist(), strict=True):
        totals[_key(program)] = totals.get(_key(program), 0.0) + probability
    best = max(totals, key=lambda key: totals[key])
    ways = [i for i, program in enumerate(prepared.programs) if _key(program) == best]
    program = prepared.programs[max(ways, key=lambda i: probabilities[i])]
    logs = scales.log_probabilities(scale_signs(prepared.question.text, context, program))
    if program.operation in ("change", "share"):
        scale, sure = "percent", 1.0
    elif (unit := own_scale(program)) is not None:
        scale, sure = unit, 1.0
    else:
        scale = max(logs, key=lambda name: logs[name])
        sure = math.exp(logs[scale])
    return Chosen(program, scale, totals[best] * sure)


def own_scale(program: Program) -> str | None:
    """The scale where the numbers print their own ("$5 million"); None where they do not and the context decides."""
    exponents = {cell.number.exponent for cell in program.cells}
    if program.operation in ("cell", "cells") and any(exponents):
        return ""  # the answer is printed with it
    if program.operation in ("difference", "sum", "average", "average_change") and any(exponents):
        return _SCALE_OF[max(exponents)]
    return "" if program.operation == "ratio" and any(exponents) else None


def answer(text: str, context: Context, models: Models, selector: Selector) -> Answer:
    """Answer one question, or refuse. Raises FIN-082 (no question, or too long)."""
    from doyen_finance.questions.selector import select

    check_question(text)
    families = models.operations.log_probabilities(question_signs(text))
    signals = select(selector, [(text, context, paragraphs_to_read(text, context, families))])[0]
    return decide(text, context, models, signals)


def paragraphs_to_read(text: str, context: Context, families: Mapping[str, float]) -> list[int]:
    """The paragraphs that share most words with a question that text may answer; none where that is unlikely."""
    if families.get("text", 0.0) < LEAST_READ:
        return []
    found = best_sentences(read_question(text), context.paragraphs, 4 * READ_PARAGRAPHS)
    return list(dict.fromkeys(sentence.paragraph for sentence in found))[:READ_PARAGRAPHS]


def check_question(text: str) -> None:
    """Raises FIN-082 for an empty question, one of more than 2,000 characters or with half characters."""
    if not text.strip() or len(text) > MAX_QUESTION:
        raise DoyenError(
            "FIN-082",
            f"the question has {len(text.strip())} characters; 1 to {MAX_QUESTION} are read.",
            "Ask one question in a sentence.",
        )
    if text != whole(text):
        raise DoyenError(
            "FIN-082",
            "the question has halves of characters (lone surrogates).",
            "Write it in plain Unicode.",
        )


def decide(text: str, context: Context, models: Models, signals: Signals) -> Answer:
    """The answer given the selector's signals, or a refusal below the threshold."""
    mentioned, asked = mentions(text, context)
    if mentioned < LEAST_MENTIONED * asked:
        return Answer(
            None,
            "",
            "",
            0.0,
            reason=f"The table and its paragraphs mention {mentioned} of {asked} words asked about.",
        )
    families = models.operations.log_probabilities(question_signs(text))
    prepared = prepare(text, context, families, signals)
    chosen = choose(prepared, context, models.ranker, models.scales)
    if chosen is None:
        return Answer(
            None, "", "", 0.0, reason="The table and its paragraphs hold nothing that could answer."
        )
    confidence = models.confidence(chosen.probability)
    program = chosen.program
    citations = tuple(_citations(program, context))
    if confidence < models.threshold:
        reason = f"The confidence {confidence:.2f} is below {models.threshold:.2f}."
        return Answer(None, "", program.operation, confidence, citations=citations, reason=reason)
    return Answer(
        program.parts, chosen.scale, program.operation, confidence, steps(program, chosen.scale), citations
    )


def mentions(text: str, context: Context) -> tuple[int, int]:
    """How many of a question's own words stand in the table or its paragraphs, and how many there are.

    The ranker has only seen questions that their context answers, so what another report would answer is refused here.
    """
    own = read_question(text).content - ASKING - _ABOUT_TABLES
    there = frozenset().union(
        *(content(cell) for line in context.table.grid for cell in line), *map(content, context.paragraphs)
    )
    return len(own & there), len(own)


def steps(program: Program, scale: str) -> tuple[str, ...]:
    """The calculation line by line, over the numbers as printed; empty when the answer stands as printed."""
    if program.value is None and not program.basis:
        return ()
    texts = [_printed(cell) for cell in program.cells]
    if program.operation == "count":
        return (f"count: {len(program.labels)} places give {program.parts[0]}",)
    if program.value is None:
        seen = ", ".join(_printed(cell) for cell in program.basis)
        return (f"{program.operation} ({program.detail}) among {seen}", f"= {', '.join(program.parts)}")
    unit = f" {scale}" if scale else ""
    return (f"{program.operation}: {written(program.operation, texts)}", f"= {program.parts[0]}{unit}")


def _printed(cell: Cell) -> str:
    value = format(cell.number.value, ",f")
    return f"({value})" if cell.number.value < 0 else value


def _citations(program: Program, context: Context) -> list[Citation]:
    table = context.table
    labels = {row.index: row.label for row in table.rows}
    headers = {column.index: column.header for column in table.columns}
    cited = []
    for cell in dict.fromkeys((*program.cells, *program.basis)):
        if cell.span is not None:
            cited.append(_text_citation(cell.span, context))
        else:
            page, box = _where(table, cell.row, cell.column)
            label, header = labels.get(cell.row, ""), headers.get(cell.column, "")
            cited.append(Citation("cell", cell.text, cell.row, cell.column, label, header, page, box))
    for row, column in dict.fromkeys(program.labels):
        page, box = _where(table, row, column)
        cited.append(Citation("cell", table.grid[row][column], row, column, page=page, box=box))
    return cited + [_text_citation(span, context) for span in program.spans]


def _where(
    table: Table, row: int, column: int
) -> tuple[int | None, tuple[float, float, float, float] | None]:
    """Page and box of a cell; of a heading, whose box parsers do not give, the page of the first cell below it."""
    boxes = table.place.boxes
    if (row, column) in boxes:
        return boxes[row, column]
    below = [place for place in boxes if place[1] == column and place[0] > row]
    return (boxes[min(below)][0], None) if below else (None, None)


def _text_citation(span: Span, context: Context) -> Citation:
    text = context.paragraphs[span.paragraph][span.start : span.end]
    return Citation("text", text, paragraph=span.paragraph, start=span.start, end=span.end)


def _key(program: Program) -> tuple[str, ...]:
    kind = "percent" if program.operation in ("change", "share") else "plain"
    return (kind, *sorted(part.lower().strip(" .") for part in program.parts))


def _sentences(question: Question, context: Context, signals: Signals) -> list[Sentence]:
    """The best sentences by words, then those that the selector prefers."""
    found = best_sentences(question, context.paragraphs, SENTENCES)
    if not signals.starts:
        return found
    have = {(s.paragraph, s.start) for s in found}

    def preferred(sentence: Sentence) -> float:
        inside = [
            value for table in (signals.starts, signals.ends) for (p, at), value in table.items()
            if p == sentence.paragraph and sentence.start <= at <= sentence.end
        ]  # fmt: skip
        return max(inside, default=-99.0)

    rest = [s for s in sentences_of(context.paragraphs) if (s.paragraph, s.start) not in have]
    return found + sorted(rest, key=lambda s: -preferred(s))[:SELECTED_SENTENCES]


def _selected_spans(context: Context, sentences: Sequence[Sentence], signals: Signals) -> list[Program]:
    """The spans between the selector's best starts and ends in each sentence."""
    found = []
    for sentence in sentences:

        def best(table: Mapping[tuple[int, int], float], s: Sentence = sentence) -> list[int]:
            inside = [(v, at) for (p, at), v in table.items() if p == s.paragraph and s.start <= at <= s.end]
            return [at for _, at in sorted(inside, reverse=True)[:SELECTED_SPANS]]

        for start in best(signals.starts):
            for end in best(signals.ends):
                if start < end and start < sentence.end:
                    text = context.paragraphs[sentence.paragraph][start:end]
                    found.append(Program("text", (text,), spans=(Span(sentence.paragraph, start, end),)))
    return found


@cache
def shipped() -> tuple[Models, Selector]:
    """The models and the selector of the adapter in use, loaded once a process. Raises FIN-083, FIN-084."""
    from doyen_finance import weights
    from doyen_finance.questions.selector import load
    from doyen_finance.questions.store import load_models

    folder = weights.part("questions")
    return load_models(folder), load(folder / "selector.safetensors")
