"""Exact match and F1 of TAT-QA by the rules of its authors' ``tatqa_metric.py``, written anew.

Their oddities are kept, since published figures have them: all parts of an answer are sorted and joined to one
string, numbers are multiplied by their scale after rounding to two places, a percent sign overrides the scale.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from typing import Any, Final

_DROPPED: Final = str.maketrans("", "", "'\"\\$€£¥%(),[]")
_PUNCTUATION: Final = frozenset(string.punctuation)
_SCALES: Final = (
    ("hundred", 100),
    ("thousand", 1000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
    ("percent", 0.01),
)
_DIGITS: Final = re.compile(r"([+-]?\d+(\.\d+)?)|([+-]?\.\d+)")


def exact_match_and_f1(
    gold: Any, kind: str, gold_scale: str, predicted: Sequence[str] | None, scale: str
) -> tuple[float, float]:
    """Both scores of one answer; an empty or missing prediction scores 0. ``kind`` is the gold's answer type."""
    if not predicted:
        return 0.0, 0.0
    if kind in ("span", "multi-span"):
        truths = [str(part) for part in (gold if isinstance(gold, list) else [gold]) if part is not None]
    else:
        truths = [_count(gold) if kind == "count" else str(gold)]
    if not truths:
        return 0.0, 0.0
    truth = _normalised(_joined(truths, gold_scale))
    strings = [_joined(predicted, scale)]
    if len(predicted) == 1 and not scale and "%" not in predicted[0] and is_number(predicted[0]):
        number = to_number(predicted[0])
        if number is not None:
            strings.append(f"{number:.4f}")
    # The authors take the greatest pair, so exact match decides before F1.
    exact, f1 = max((float(p == truth), _f1(p, truth)) for p in map(_normalised, strings))
    return exact, exact if kind in ("arithmetic", "count") else f1


def _count(gold: Any) -> str:
    try:
        return str(int(gold))
    except (TypeError, ValueError):  # the authors' own script ends here
        return str(gold)


def is_number(text: str) -> bool:
    """Whether the first word is a number and the second, where there is one, a scale."""
    parts = " ".join(word.translate(_DROPPED) for word in text.split()).split()
    try:
        return bool(parts) and not math.isnan(float(parts[0])) and (len(parts) < 2 or _scale(parts[1]) != 1)
    except ValueError:
        return False


def to_number(text: str) -> float | None:
    """The first number with its scale word, brackets as minus and percent sign applied; None without one."""
    found = _DIGITS.search(text.translate(_DROPPED))
    if found is None or not found[1]:
        return None
    value: float = float(found[1]) if "." in found[1] else int(found[1])
    word = re.search(r"[\d.]+\s?[a-zA-Z]+", text)
    value *= _scale(word[0].lower()) if word else 1
    if re.search(r"\([\d.\s%]+\)", text.strip()):
        value = -value
    return round(value * (0.01 if re.search(r"[\d.\s]+%", text.strip()) else 1), 4)


def _scale(word: str) -> float:
    return next((factor for name, factor in _SCALES if name in word.lower()), 1)


def _joined(parts: Sequence[str], scale: str) -> str:
    out = []
    for part in sorted(parts):
        number = to_number(part) if is_number(part) else None
        if number is None:
            out.append(f"{part} {scale}" if scale else part)
        else:
            out.append(f"{number:.4f}" if "%" in part else f"{round(number, 2) * _scale(scale):.4f}")
    return " ".join(out)


def _normalised(text: str) -> str:
    words = []
    for token in text.split(" "):
        token = token.lower()
        if is_number(token):
            token = str(to_number(token))
        else:
            token = "".join(character for character in token if character not in _PUNCTUATION)
            if is_number(token):
                token = str(to_number(token))
        words.append(" ".join(re.sub(r"\b(a|an|the)\b", " ", token).split()))
    return " ".join(word for word in words if word)


def _f1(predicted: str, truth: str) -> float:
    ours, gold = set(predicted.split()), set(truth.split())
    shared = len(ours & gold)
    precision = shared / len(ours) if ours else 1.0
    recall = shared / len(gold) if gold else 1.0
    return round(2 * precision * recall / (precision + recall), 2) if precision + recall else 0.0
