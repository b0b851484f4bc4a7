"""Printed numbers to exact values: signs, grouping, currencies, percent, footnote marks, Chinese and English units."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# No printed amount is longer; more is text, and bounds what a hostile cell can cost.
MAX_CHARACTERS: Final = 80
MAX_DIGITS: Final = 30

# Signs stand for the currency that they mean most often; a report's own words win over this.
CURRENCIES: Final = {
    "US$": "USD", "U.S.$": "USD", "HK$": "HKD", "NT$": "TWD", "A$": "AUD", "C$": "CAD", "CA$": "CAD", "S$": "SGD",
    "R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "CNY", "₩": "KRW", "₹": "INR", "RMB": "CNY",
    "USD": "USD", "EUR": "EUR", "GBP": "GBP", "CNY": "CNY", "JPY": "JPY", "HKD": "HKD", "CHF": "CHF", "CAD": "CAD",
    "AUD": "AUD", "SGD": "SGD", "INR": "INR", "KRW": "KRW", "TWD": "TWD",
    "人民币": "CNY", "港币": "HKD", "港元": "HKD", "美元": "USD", "欧元": "EUR", "日元": "JPY", "英镑": "GBP", "元": "CNY",
}  # fmt: skip
MULTIPLIERS: Final = {
    "百": 10**2, "千": 10**3, "万": 10**4, "萬": 10**4, "十万": 10**5, "百万": 10**6, "千万": 10**7, "亿": 10**8, "億": 10**8,
    "十亿": 10**9, "百亿": 10**10, "万亿": 10**12, "thousand": 10**3, "thousands": 10**3, "million": 10**6, "millions": 10**6,
    "billion": 10**9, "billions": 10**9, "trillion": 10**12, "mn": 10**6, "mm": 10**6, "bn": 10**9, "tn": 10**12,
    "k": 10**3, "m": 10**6, "b": 10**9,
}  # fmt: skip

_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−－﹣ー─", "-"))
# Marks that point to a note and are no part of the number; taken off before NFKC would make digits of them.
_MARKS: Final = re.compile(r"[⁰¹²³⁴-⁹①-⑳⑴-⒇*†‡§¶#ª]+")
_NIL: Final = re.compile(r"-{1,4}|nil", re.IGNORECASE)
_NOTE: Final = re.compile(
    r"(?<=[0-9)%\-])\s*(?:\[[0-9a-z]{1,2}\]|\((?:[0-9]{1,2}|[a-z]|i{1,3}|iv|vi{0,3})\))$"
)
_CURRENCY: Final = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_BEFORE: Final = re.compile(rf"^(?:{_CURRENCY})", re.IGNORECASE)
_AFTER: Final = re.compile(rf"(?:{_CURRENCY})$", re.IGNORECASE)
_MULTIPLIER: Final = re.compile(
    rf"\s*({'|'.join(sorted(MULTIPLIERS, key=len, reverse=True))})$", re.IGNORECASE
)

_PLAIN: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_GROUPED: Final = re.compile(
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"
)
_SPACED: Final = re.compile(r"[0-9]{1,3}(?:[ '][0-9]{3})+(?:\.[0-9]+)?")
# Points as grouping, comma as decimal mark: "1.234,56", "1.234.567", "1 234,5", "0,75".
_COMMA: Final = re.compile(
    r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|[0-9]{1,3}(?:\.[0-9]{3}){2,}|[0-9]{1,3}(?:[ '][0-9]{3})+,[0-9]{1,2}"
)
_COMMA_SHORT: Final = re.compile(r"[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]+")
_COMMA_STATED: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?|[0-9]+(?:,[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Number:
    """A printed number.

    Attributes:
        value: with its sign and with a multiplier that stands in the text itself ("3.5亿"); a percentage as printed
            (12.5 for "12.5 %"). Its exponent says how many decimals were printed.
        is_nil: a dash or "nil", for which value is 0.
        currency: ISO 4217 code of the sign or word beside the number.
    """

    value: Decimal
    is_nil: bool = False
    is_percent: bool = False
    currency: str | None = None


def parse_number(text: str, *, decimal_comma: bool = False) -> Number | None:
    """The number that a cell prints, or None where it is not one number.

    Brackets, also a single one, and a leading or trailing minus mean negative. Spaces within digit groups go
    ("1,516, 034, 246.28") where the result is well grouped; "1,234 5,678" is two numbers and gives None. A comma is
    the decimal mark where nothing else fits ("1.234,56", "0,75"), or everywhere with ``decimal_comma``.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    bare = unicodedata.normalize("NFKC", _MARKS.sub("", text)).translate(_DASHES)
    bare = " ".join(bare.replace("’", "'").split())
    bare = _NOTE.sub("", bare).strip()
    bare, negative = _sign(bare)
    bare, currency = _currency(bare)
    bare, negative_inside = _sign(bare)  # "$(1,234)" has its sign after the currency
    bare, is_percent = _percent(bare)
    bare, negative_bracket = _sign(bare)  # "(1.5)%"
    if _NIL.fullmatch(bare):
        return Number(Decimal(0), is_nil=True, is_percent=is_percent, currency=currency)
    multiplier = 1
    if found := _MULTIPLIER.search(bare):
        multiplier, bare = MULTIPLIERS[found[1].lower()], bare[: found.start()]
    value = _digits(bare.strip(), decimal_comma)
    if value is None:
        return None
    if multiplier != 1:
        value *= multiplier
    if negative or negative_inside or negative_bracket:
        value = -value
    return Number(value, is_percent=is_percent, currency=currency)


def _sign(text: str) -> tuple[str, bool]:
    """The text without sign or brackets, and whether it had them; a lone dash stays (it means nil)."""
    negative = False
    if text.startswith("(") or (text.endswith(")") and "(" not in text):
        text, negative = text.removeprefix("(").removesuffix(")").strip(), True
    if any(c.isdigit() for c in text):
        if text[0] in "-△▲":
            text, negative = text[1:].strip(), True
        elif text.endswith("-"):
            text, negative = text[:-1].strip(), True
        text = text.removeprefix("+").strip()
    return text, negative


def _currency(text: str) -> tuple[str, str | None]:
    for pattern in (_BEFORE, _AFTER):
        if found := pattern.search(text):
            rest = (text[: found.start()] + text[found.end() :]).strip()
            name = found[0].upper() if found[0].isascii() else found[0]
            second = _AFTER.search(rest)  # "人民币 5 元"
            return (rest[: second.start()].strip() if second else rest), CURRENCIES[name]
    return text, None


def _percent(text: str) -> tuple[str, bool]:
    bare = text.removesuffix("%").rstrip()
    return (bare, True) if text.endswith("%") else (text, False)


def _digits(text: str, decimal_comma: bool) -> Decimal | None:
    if not text or sum(c.isdigit() for c in text) > MAX_DIGITS:
        return None
    joined = re.sub(r"\s*([.,])\s*", r"\1", text)
    tight = joined.replace(" ", "")
    if decimal_comma:
        for form in (joined, tight):
            if _COMMA_STATED.fullmatch(form):
                return Decimal(form.replace(".", "").replace(",", "."))
        return None
    if _PLAIN.fullmatch(joined):
        return Decimal(joined)
    if _SPACED.fullmatch(joined):
        return Decimal(joined.replace(" ", "").replace("'", ""))
    if _COMMA.fullmatch(joined):
        return Decimal(re.sub(r"[. ']", "", joined).replace(",", "."))
    if _GROUPED.fullmatch(tight):
        return Decimal(tight.replace(",", ""))
    if _COMMA_SHORT.fullmatch(joined):
        return Decimal(joined.replace(",", "."))
    return None
