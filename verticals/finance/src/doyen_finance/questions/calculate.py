"""The calculator: every number of an answer is a cell's, a paragraph's, or comes from here."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

HUNDRED: Final = Decimal(100)
OPERATIONS: Final = {
    "difference": "{0} − {1}",
    "change": "({0} − {1}) / {1} × 100",
    "ratio": "{0} / {1}",
    "share": "{0} / {1} × 100",
    "product": "{0} × {1}",
    "average_change": "({0} + {1}) / 2 − ({1} + {2}) / 2",
}
CALCULATED: Final = frozenset(OPERATIONS) | {"sum", "average"}


def calculate(operation: str, operands: Sequence[Decimal]) -> Decimal | None:
    """The value of ``operation`` over ``operands``; None where it is not defined (division by zero)."""
    with localcontext() as context:
        context.prec = 50
        if operation == "sum":
            return sum(operands, Decimal(0))
        if operation == "average":
            return sum(operands, Decimal(0)) / len(operands)
        if operation == "average_change":
            first, second, third = operands
            return (first + second) / 2 - (second + third) / 2
        a, b = operands
        if operation == "difference":
            return a - b
        if operation == "product":
            return a * b
        if b == 0:
            return None
        return {"change": (a - b) / b * HUNDRED, "ratio": a / b, "share": a / b * HUNDRED}[operation]


def rounded(value: Decimal) -> str:
    """To two places, halves away from zero, without trailing zeros, as reports round."""
    with localcontext() as context:
        context.prec = 100  # a product or share of the longest numbers that are read, with two decimals
        text = format(value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP), "f")
    text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def written(operation: str, texts: Sequence[str]) -> str:
    """The calculation as a line of text over the operands as printed."""
    if operation == "sum":
        return " + ".join(texts)
    if operation == "average":
        return f"({' + '.join(texts)}) / {len(texts)}"
    return OPERATIONS[operation].format(*texts)
