"""What a heading says about scale and currency: "(in millions, except per share data)", "单位：千元 币种：人民币"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from doyen_finance.statements.numbers import MULTIPLIERS

_SCALE: Final = re.compile(
    r"(?:\b(?:in|usd|us\$|rmb|dollars?|amounts?|expressed|stated)|[$€£])\s*(?:in |of )?(?:u\.?s\.? |us |canadian )?(?:\$|dollars|euros?|€|£|rmb|usd|eur|gbp)?\s*(?:in )?"
    r"(?P<scale>thousands?|millions?|billions?)|\((?P<bare>thousands?|millions?|billions?)\b|\b(?P<of>thousands|millions|billions) of (?:u\.?s\.? |us |canadian )?(?:dollars|euros?|rmb|renminbi|yen|pounds)"
    r"|(?P<marks>[$€£]\s?(?:000s?|m|bn)\b|000['’]s|\bin 000s?\b|(?:[$€£]|\b(?:rmb|usd|hkd|eur|gbp|cny))\s?['’‘]000s?\b)"
    r"|单位[:：]?\s*(?:人民币|美元|港币)?(?P<zh>亿|百万|万|千)?元|[(（](?:人民币|美元|港币)?(?P<zh2>亿|百万|万|千)元",
    re.IGNORECASE,
)
_EXCEPT: Final = re.compile(r"\b(?:except|other than|excluding|unless)\b(?P<rest>.*)", re.IGNORECASE)
_SHARES_IN: Final = re.compile(
    r"shares?\b[^.;]{0,60}?\b(?:reflected )?in (?P<scale>thousands|millions)|(?P<same>and shares) in",
    re.IGNORECASE,
)
_CURRENCIES: Final = {
    r"us\$|u\.s\. dollars?|\busd\b|美元": "USD", r"人民币|\brmb\b|renminbi|\bcny\b": "CNY", r"€|\beuros?\b|\beur\b|欧元": "EUR",
    r"£|\bgbp\b|pounds? sterling|英镑": "GBP", r"hk\$|\bhkd\b|港币|港元": "HKD", r"\byen\b|\bjpy\b|日元": "JPY",
    r"c\$|\bcad\b|canadian dollars?": "CAD", r"\bchf\b|swiss francs?": "CHF",
}  # fmt: skip
_SIGN: Final = re.compile(r"(?<![a-z])\$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Units:
    """Factors of a statement: of amounts, and of counts of shares. Amounts a share are never scaled."""

    amounts: int = 1
    shares: int = 1


def units_of(text: str) -> Units | None:
    """The scale that a heading states, or None where it states none.

    Counts of shares have the amounts' scale unless the heading excepts them ("except share and per share data") or
    gives them their own ("number of shares, which are reflected in thousands").
    """
    found = _SCALE.search(text)
    if found is None:
        return None
    word = found["scale"] or found["bare"] or found["of"]
    if word:
        amounts = MULTIPLIERS[word.lower()]
    elif found["marks"]:
        amounts = (
            10**9
            if "bn" in found["marks"].lower()
            else 10**6
            if found["marks"].lower().endswith("m")
            else 1000
        )
    else:
        amounts = MULTIPLIERS.get(found["zh"] or found["zh2"] or "", 1)
    shares = amounts
    if excepted := _EXCEPT.search(text):
        rest = excepted["rest"]
        own = _SHARES_IN.search(rest)
        if own and own["scale"]:
            shares = MULTIPLIERS[own["scale"].lower()]
        elif re.search(
            r"\bshares?\b",
            re.sub(
                r"per[- ](?:common |ordinary |class \w )?(?:share|unit|ads)s?( amounts?| data| information)?",
                "",
                rest,
                flags=re.IGNORECASE,
            ),
        ):
            shares = 1
    return Units(amounts, shares)


def currencies_of(text: str) -> set[str]:
    """ISO codes of the currencies that a heading names; a lone dollar sign is none (it says too little)."""
    return {code for pattern, code in _CURRENCIES.items() if re.search(pattern, text, re.IGNORECASE)}


def has_dollar(text: str) -> bool:
    """Whether a dollar sign stands in the text."""
    return _SIGN.search(text) is not None or re.search(r"\bdollars\b", text, re.IGNORECASE) is not None
