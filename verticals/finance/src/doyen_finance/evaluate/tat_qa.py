"""TAT-QA: exact match and F1 by the official rules, refusals counted as wrong, on contexts that were not trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_evaluation.resample import index_ci
from doyen_finance import weights
from doyen_finance.evaluate.tat_qa_metric import exact_match_and_f1
from doyen_finance.questions.answer import Models, answer, shipped
from doyen_finance.questions.calculate import CALCULATED, calculate, rounded
from doyen_finance.questions.floor import floor_answer
from doyen_finance.questions.model import Answer, Context
from doyen_finance.questions.numbers import numbers_within, read_number
from doyen_finance.questions.store import read_config
from doyen_finance.questions.tatqa import Item, read_items
from doyen_finance.questions.training import digest
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.questions.selector import Selector

DRAWS: Final = 1000


def evaluate_file(data: Path, limit: int | None = None) -> dict[str, Any]:
    """Figures of the shipped models on the questions of ``data``. Raises FIN-080, FIN-083, FIN-084.

    The top level has the questions whose context was not trained on, all of them when there is none such;
    ``seen_contexts`` says how many contexts of the file were, and ``all`` has every question.
    """
    items = read_items(data, limit)
    trained = set(read_config(weights.part("questions"))["contexts"])
    models, selector = shipped()
    began = time.monotonic()
    answers = [_answered(item, models, selector) for item in items]
    seconds = time.monotonic() - began
    unseen = np.array([digest(item.group) not in trained for item in items])
    result: dict[str, Any] = {"protocol": "tat-qa"}
    chosen = np.flatnonzero(unseen) if unseen.any() else np.arange(len(items))
    result |= _figures([items[i] for i in chosen], [answers[i] for i in chosen])
    result["seen_contexts"] = len({item.group for item, new in zip(items, unseen, strict=True) if not new})
    result["unseen_contexts"] = len({item.group for item, new in zip(items, unseen, strict=True) if new})
    if unseen.any() and not unseen.all():
        everything = _figures(items, answers)
        result["all"] = {
            name: everything[name] for name in ("n", "em", "f1", "refused", "unsupported_numbers")
        }
    result["seconds"] = round(seconds, 1)
    return result


def _answered(item: Item, models: Models, selector: Selector) -> Answer:
    """The answer; a question that is none, or too long, counts as refused and ends no run."""
    try:
        return answer(item.question, item.context, models, selector)
    except DoyenError as error:
        if error.code != "FIN-082":
            raise
        return Answer(None, "", "", 0.0, reason=error.message)


def _figures(items: Sequence[Item], answers: Sequence[Answer]) -> dict[str, Any]:
    scores = np.array([_score(item, found) for item, found in zip(items, answers, strict=True)])
    floor = np.array([_score(item, floor_answer(item.question, item.context)) for item in items])
    answered = np.array([found.answer is not None for found in answers])
    names: dict[str, int] = {}
    groups = np.array([names.setdefault(item.group, len(names)) for item in items])
    kinds = np.array([item.gold.kind for item in items])
    sources = np.array([item.gold.source for item in items])

    def interval(values: np.ndarray) -> list[float] | None:
        found = index_ci(groups, lambda drawn: float(values[drawn].mean()), draws=DRAWS)
        return [round(bound, 4) for bound in found] if found else None

    return {
        "n": len(items), "em": _mean(scores[:, 0]), "f1": _mean(scores[:, 1]), "refused": int((~answered).sum()),
        "unsupported_numbers": sum(
            unsupported(found, item.context) for item, found in zip(items, answers, strict=True)
        ),
        "em_answered": _mean(scores[answered, 0]), "f1_answered": _mean(scores[answered, 1]),
        "floor_em": _mean(floor[:, 0]), "floor_f1": _mean(floor[:, 1]),
        "ci95": {
            "em": interval(scores[:, 0]), "f1": interval(scores[:, 1]), "floor_em": interval(floor[:, 0]),
            "em_over_floor": interval(scores[:, 0] - floor[:, 0]),
        },
        "by_answer_type": _by(kinds, scores), "by_answer_from": _by(sources, scores),
    }  # fmt: skip


def unsupported(found: Answer, context: Context) -> int:
    """How many numbers of an answer are not what its citations give: cited text, or a calculation done again here."""
    if found.answer is None:
        return 0
    if found.operation == "count":
        # Several cited places may print the same text, which counts once.
        return int(int(found.answer[0]) > len(found.citations))
    if found.operation in CALCULATED:
        operands = [number for cited in found.citations if (number := read_number(cited.text)) is not None]
        again = calculate(found.operation, [number.value for number in operands])
        return int(again is None or rounded(again) != found.answer[0])
    source = " ".join([*(cited.text for cited in found.citations), *_header_years(context, found)])
    return sum(
        part[start:end].strip() not in source for part in found.answer for start, end in numbers_within(part)
    )


def _header_years(context: Context, found: Answer) -> list[str]:
    """The years that cited headers stand for: FY19 is answered as 2019."""
    cited = {citation.column for citation in found.citations}
    return [str(year) for column in context.table.columns if column.index in cited for year in column.years]


def _score(item: Item, found: Answer) -> tuple[float, float]:
    return exact_match_and_f1(item.gold.answer, item.gold.kind, item.gold.scale, found.answer, found.scale)


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def _by(names: np.ndarray, scores: np.ndarray) -> dict[str, dict[str, Any]]:
    return {
        str(name): {
            "n": int((names == name).sum()), "em": _mean(scores[names == name, 0]), "f1": _mean(scores[names == name, 1]),
        } for name in sorted(set(names.tolist()))
    }  # fmt: skip
