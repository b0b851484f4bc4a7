"""Amounts of money to a decimal and its ISO 4217 code."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from doyen_legal.normalise.numbers import DIGITS, WORDS, decimal, parse_digits, parse_words
from doyen_legal.normalise.scan import scan
from doyen_legal.normalise.types import Mention
from doyen_schemas import Value

_SYMBOLS: Final[dict[str, str]] = {
    "US$": "USD", "U.S.$": "USD", "U.S. $": "USD", "USD$": "USD", "$US": "USD", "$": "USD",
    "C$": "CAD", "CA$": "CAD", "CAN$": "CAD", "CDN$": "CAD", "CAD$": "CAD",
    "A$": "AUD", "AU$": "AUD", "AUD$": "AUD", "NZ$": "NZD", "HK$": "HKD", "NT$": "TWD", "S$": "SGD", "R$": "BRL",
    "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "RMB¥": "CNY", "RMB": "CNY", "CN¥": "CNY", "₹": "INR", "₪": "ILS",
    "Rs.": "INR", "NIS": "ILS", "₩": "KRW",
}  # fmt: skip
_CODES: Final = (
    "USD", "EUR", "GBP", "JPY", "CNY", "CAD", "AUD", "NZD", "HKD", "TWD", "SGD", "CHF", "SEK", "NOK", "DKK", "INR",
    "ILS", "KRW", "BRL", "MXN", "ZAR", "RUB", "KZT", "PLN", "CZK", "THB", "MYR", "IDR", "PHP", "VND", "AED", "SAR",
    "TRY", "ARS", "CLP", "PGK",
)  # fmt: skip
_NAMES: Final[dict[str, str]] = {
    r"(?:u\.?\s?s\.?|united\s+states|american)\s+dollars?": "USD",
    r"canadian\s+dollars?": "CAD", r"australian\s+dollars?": "AUD", r"hong\s+kong\s+dollars?": "HKD",
    r"new\s+zealand\s+dollars?": "NZD", r"singapore\s+dollars?": "SGD", r"new\s+taiwan\s+dollars?": "TWD",
    r"pounds?\s+sterling|british\s+pounds?|pounds": "GBP", r"euros?": "EUR", r"(?:japanese\s+)?yen": "JPY",
    r"(?:chinese\s+)?yuan(?:\s+renminbi)?|renminbi": "CNY", r"swiss\s+francs?": "CHF",
    r"(?:indian\s+)?rupees?": "INR", r"(?:new\s+israeli\s+)?shekels?": "ILS", r"dollars?": "USD",
    r"(?:u\.?\s?s\.?\s+)?cents?": "cent",
}  # fmt: skip
_NAME_PATTERNS: Final = tuple((re.compile(pattern, re.I), code) for pattern, code in _NAMES.items())
_MAGNITUDES: Final[dict[str, int]] = {
    "thousand": 10**3, "k": 10**3, "million": 10**6, "mm": 10**6, "mn": 10**6, "m": 10**6,
    "billion": 10**9, "bn": 10**9, "trillion": 10**12,
}  # fmt: skip

_SYMBOL = "|".join(re.escape(symbol) for symbol in sorted(_SYMBOLS, key=len, reverse=True))
_CODE = "|".join(_CODES)
_NAME = "|".join(_NAMES)
_MAGNITUDE = r"(?:thousand|million|billion|trillion|mm|mn|bn|[km])\b"
# Up to one cent figure, OCR's blank after a comma, "1,500,000.-"
_FIGURE = rf"\.?{DIGITS}"
_UNIT = r"(?:\s*(?:per|/|a|for\s+each)\s*(?:-\s*)?(?P<per>[a-z]{2,15})\b)?"
_MONEY: Final = re.compile(
    # five hundred thousand [U.S.] dollars ($500,000)
    rf"(?<![\w$])(?P<words>{WORDS})\s*(?:\(\s?(?P<bare_figure>{DIGITS})\s?\)\s*)?(?P<cents>(?:and|&)\s+(?:no|\d{{1,2}})\s?/\s?100\s*(?:ths)?\s*)?"
    rf"\(?(?P<words_name>{_NAME}|{_CODE})\b\)?(?P<words_cents>\s+and\s+(?P<cents_number>{WORDS})\s+cents?)?"
    rf"(?:\s*\(\s?(?:(?:{_SYMBOL}|{_CODE})\s?)?(?P<figure>{DIGITS})\s?(?P<figure_magnitude>{_MAGNITUDE})?(?:\s?(?:{_CODE}))?\s?\))?"
    # US$ 2.5 million, $(500), USD 1.000
    rf"|(?P<symbol>(?<![A-Za-z0-9])(?:{_SYMBOL})|(?<![A-Za-z])(?:{_CODE})(?=[\s\d(.]))[ \t]*\n?[ \t]*(?P<digits>{_FIGURE})(?:\s?(?P<magnitude>{_MAGNITUDE}))?(?P<trailing>\s?(?:{_CODE})\b)?"
    # 120.000 USD, 1 000 euros, 2.5 million dollars, 5 cents
    rf"|(?<![\w$.,/])(?P<plain>{_FIGURE})(?:\s?(?P<plain_magnitude>{_MAGNITUDE}))?\s?(?P<plain_name>€|£|(?:{_CODE})\b|(?:{_NAME})\b)",
    re.I,
)
_PER = re.compile(_UNIT, re.I)
_TRIGGER: Final = re.compile(
    rf"[$€£¥￥₹₪₩]|\b(?:{_CODE}|RMB|NIS|Rs\.|dollars?|pounds?|euros?|yen|yuan|renminbi|francs?|rupees?|shekels?|cents?)",
    re.I,
)
_CHINESE = re.compile(r"\b(?:RMB|CNY|renminbi|people['’]s\s+republic\s+of\s+china)\b", re.I)
# What "per X" is no unit price for: a rate in time is a plain amount with its period elsewhere.
_NO_UNIT: Final = frozenset({"the", "this", "such", "each", "annum", "cent"})


def find_amounts(text: str) -> list[Mention]:
    """Amounts of money in ``text``, in order, as values of kind ``amount`` with the ISO 4217 code in ``unit``.

    A price per unit has the unit behind the code (``"USD/share"``). Where words and figures disagree the
    words count (UCC § 3-114). ``$`` alone is USD and ``¥`` is JPY, or CNY where the text speaks of China.
    """
    found: list[Mention] = []
    yen = "CNY" if _CHINESE.search(text) else "JPY"
    for match in scan(_MONEY, text, _TRIGGER, 160, 90):
        read = _read(match, yen)
        if read is None:
            continue
        amount, code = read
        end = match.end()
        per = _PER.match(text, end)
        if per and per["per"] and per["per"].lower() not in _NO_UNIT:
            end, code = per.end(), f"{code}/{per['per'].lower()}"
        found.append(Mention(match.start(), end, Value(kind="amount", text=decimal(amount), unit=code)))
    return found


def _read(match: re.Match[str], yen: str) -> tuple[Fraction, str] | None:
    if match["words"]:
        amount = parse_words(match["words"])
        if amount is None:
            figure = match["figure"] or match["bare_figure"]
            amount = parse_digits(figure) if figure else None
            if amount is not None and match["figure_magnitude"]:
                amount *= _MAGNITUDES[match["figure_magnitude"].lower()]
        if amount is None:
            return None
        if match["cents"] and (hundredths := re.search(r"(\d{1,2})\s?/", match["cents"])):
            amount += Fraction(int(hundredths[1]), 100)
        if match["cents_number"] and (cents := parse_words(match["cents_number"])) is not None:
            amount += cents / 100
        return _named(amount, match["words_name"])
    digits = match["digits"] or match["plain"]
    magnitude = match["magnitude"] or match["plain_magnitude"]
    dollar = bool(match["symbol"]) and "$" in match["symbol"]
    behind = _PER.match(match.string, match.end())
    three_decimals = magnitude is not None or (dollar and behind is not None and bool(behind["per"]))
    amount = parse_digits("0" + digits if digits.startswith(".") else digits, three_decimals=three_decimals)
    if amount is None:
        return None
    if magnitude is not None:
        amount *= _MAGNITUDES[magnitude.lower()]
    if match["symbol"] is None:
        return _named(amount, match["plain_name"])
    code = next(
        (c for s, c in _SYMBOLS.items() if s.lower() == match["symbol"].lower()), match["symbol"].upper()
    )
    if match["symbol"] in ("¥", "￥"):
        code = yen
    if match["trailing"]:
        code = match["trailing"].strip().upper()
    return amount, code


def _named(amount: Fraction, name: str) -> tuple[Fraction, str] | None:
    if name.upper() in _CODES:
        return amount, name.upper()
    if name in _SYMBOLS:
        return amount, _SYMBOLS[name]
    for pattern, code in _NAME_PATTERNS:
        if pattern.fullmatch(name):
            return (amount / 100, "USD") if code == "cent" else (amount, code)
    return None
