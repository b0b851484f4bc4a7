"""Which candidates are right, from the gold answer and its derivation: distant supervision for the ranker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from doyen_finance.evaluate.tat_qa_metric import exact_match_and_f1
from doyen_finance.questions.model import Program
from doyen_finance.questions.tatqa import Gold

_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ALLOWED: Final = {
    "arithmetic": (
        ("difference", "change", "average", "sum", "share", "ratio", "product", "average_change"),
    ),
    "count": (("count",),),
    "span": (("extreme", "filter"), ("cell",), ("entry", "label"), ("text",)),
    "multi-span": (("cells",), ("filter",), ("labels",), ("text",)),
}
_COMPARED: Final = re.compile(r"[<>]|##|\bfind\b|locate|largest|vs", re.IGNORECASE)


def right_programs(programs: Sequence[Program], gold: Gold) -> list[int]:
    """The candidates that give the gold answer by a plausible way: of one kind, over the derivation's numbers."""
    ways = _ALLOWED.get(gold.kind, ())
    if gold.kind == "span" and gold.source == "text":
        ways = (("text",),)
    elif gold.kind == "span" and not _COMPARED.search(gold.derivation):
        ways = (("cell",), ("entry", "label"), ("text",), ("extreme", "filter"))
    allowed = {name for way in ways for name in way}
    right = [
        i for i, program in enumerate(programs)
        if program.operation in allowed
        and (gold.scale == "percent" or gold.kind != "arithmetic" or program.operation not in ("change", "share"))
        and exact_match_and_f1(gold.answer, gold.kind, gold.scale, program.parts, gold.scale)[0]
    ]  # fmt: skip
    for way in ways:
        kept = [i for i in right if programs[i].operation in way]
        if kept:
            return _by_derivation(programs, kept, gold.derivation)
    return []


def _by_derivation(programs: Sequence[Program], kept: list[int], derivation: str) -> list[int]:
    """Those over most of the derivation's numbers and fewest others."""
    named = {Decimal(text.replace(",", "")) for text in _NUMBER.findall(derivation)}
    if not named:
        return kept
    fit = []
    for i in kept:
        used = {abs(cell.number.value) for cell in programs[i].basis or programs[i].cells}
        fit.append(len(used & named) - 0.5 * len(used - named))
    return [i for i, value in zip(kept, fit, strict=True) if value == max(fit)]
