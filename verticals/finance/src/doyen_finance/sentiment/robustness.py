"""How often an answer flips when something changes that should not matter.

Digits are drawn anew, letters made capitals, a link is added, the marked name is exchanged for another of the file,
and, for the LoRA, the question is put in other words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_evaluation.resample import group_weights, interval
from doyen_finance.sentiment.corpora import Target, read_targets
from doyen_finance.sentiment.scoring import Model, probabilities

DRAWS: Final = 1000


def robustness_file(
    data: Path, limit: int | None = None, model: Model = Model.encoder, seed: int = 0
) -> dict[str, Any]:
    """``robustness`` on the first ``limit`` targets of a corpus file. Raises FIN-040, FIN-041."""
    return robustness(read_targets(data)[0][:limit], model, seed)


def robustness(targets: Sequence[Target], model: Model = Model.encoder, seed: int = 0) -> dict[str, Any]:
    """For each perturbation: how many targets it changes (``n``), the share whose answer flips, accuracy before and after."""
    rng = np.random.default_rng(seed)
    names = sorted({name for t in targets if (name := marked_name(t))})
    perturbations: dict[str, Callable[[Target], Target]] = {
        "numbers": lambda t: _rewritten(t, lambda text: re.sub(r"\d", lambda _: str(rng.integers(10)), text)),
        "capitals": lambda t: _rewritten(t, _capitals),
        "link": lambda t: t._replace(text=f"{t.text} https://t.co/aBcD1234"),
        "name": lambda t: _renamed(t, names, rng),
    }
    before = probabilities(targets, model).argmax(axis=1)
    result: dict[str, Any] = {"model": model.value, "n": len(targets), "seed": seed, "perturbations": {}}
    for name, change in perturbations.items():
        changed = [change(t) for t in targets]
        rows = [i for i, (old, new) in enumerate(zip(targets, changed, strict=True)) if old != new]
        if rows:
            after = probabilities([changed[i] for i in rows], model).argmax(axis=1)
            result["perturbations"][name] = _flips([targets[i].label for i in rows], before[rows], after)
    if model is Model.lora:
        result["perturbations"] |= _wordings(targets, before)
    return result


def marked_name(item: Target) -> str:
    """The target as the text writes it first; empty where the whole text is judged."""
    return item.text[slice(*item.spans[0])] if item.spans else ""


def _wordings(targets: Sequence[Target], before: np.ndarray) -> dict[str, Any]:
    from doyen_finance.sentiment import llm

    gold = [t.label for t in targets]
    return {
        f"wording {number}": _flips(gold, before, probabilities(targets, Model.lora, number).argmax(axis=1))
        for number in range(1, len(llm.WORDINGS))
    }


def _flips(gold: Sequence[int], before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    flipped = (before != after).astype(np.float64)
    weights_DN = group_weights(len(flipped), DRAWS, 0)
    bounds = interval(weights_DN @ flipped / len(flipped))
    return {
        "n": len(flipped),
        "flips": round(float(flipped.mean()), 4),
        "ci95": [round(b, 4) for b in bounds] if bounds else [],
        "accuracy_before": round(float((before == gold).mean()), 4),
        "accuracy_after": round(float((after == gold).mean()), 4),
    }


def _rewritten(item: Target, rewrite: Callable[[str], str]) -> Target:
    """Rewrites that keep every character's place leave the marks where they are; links stay as they are."""
    parts = re.split(r"(https?://\S+)", item.text)
    text = "".join(part if i % 2 else rewrite(part) for i, part in enumerate(parts))
    return item._replace(text=text)


def _capitals(text: str) -> str:
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in text)


def _renamed(item: Target, names: Sequence[str], rng: np.random.Generator) -> Target:
    """The marked name exchanged, at each of its places, for another of ``names``."""
    others = [name for name in names if name != marked_name(item)]
    if not item.spans or not others or marked_name(item) == item.text:
        return item
    new = others[int(rng.integers(len(others)))]
    text, spans, last = "", [], 0
    for start, end in sorted(item.spans):
        text += item.text[last:start]
        spans.append((len(text), len(text) + len(new)))
        text += new
        last = end
    return Target(text + item.text[last:], tuple(spans), item.label)
