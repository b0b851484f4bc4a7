"""A language model with and without its adapter: logits on a fixed prompt, perplexity on a fixed general text.

Shape legend: B batch (1), T tokens, V vocabulary.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.resources import files
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_schemas import DoyenError, Probe, ReleaseBase

if TYPE_CHECKING:
    from torch import Tensor

PROMPT: Final = "In a few words, the most important point of this document is that the"
KEPT: Final = 32
# An adapter that moves no logit by more than this does nothing that anyone would see.
LEAST_EFFECT: Final = 0.01
_WINDOW: Final = 512


@dataclass(frozen=True)
class Answers:
    """Logits [V] after ``PROMPT`` and perplexity on the general text (0.0 if not asked for)."""

    logits_V: Tensor
    perplexity: float


def general_text() -> str:
    """The general English text on which forgetting is measured; written for this package, Apache-2.0 like it."""
    return (files("doyen_evaluation") / "release" / "general.txt").read_text(encoding="utf-8")


def answers(base: ReleaseBase, bundle: Path, *, perplexity: bool) -> tuple[Answers, Answers]:
    """What the base alone and the base with the adapter answer.

    Raises MOD-002 when the base is not on this machine, MOD-003 and MOD-011 when it is another one.
    """
    from doyen_modeling.base import load_base
    from doyen_modeling.methods import load_adapter

    loaded = load_base(base.source)
    alone = _answers(loaded.model, loaded.tokenizer, perplexity)
    # The adapter goes into the model itself, so the base is asked first.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for an old name
        tuned = load_adapter(loaded, bundle / base.language_model)
    return alone, _answers(tuned, loaded.tokenizer, perplexity)


def probe(base: ReleaseBase, bundle: Path) -> Probe:
    """The logits that the adapter moves most, with those of the base. Raises EVA-027 when it moves none."""
    alone, tuned = answers(base, bundle, perplexity=False)
    moved_V = (tuned.logits_V - alone.logits_V).abs()
    if not float(moved_V.max()) > LEAST_EFFECT:
        raise DoyenError(
            "EVA-027",
            f"the adapter in {base.language_model!r} moves no logit by more than {LEAST_EFFECT}"
            f" (found {float(moved_V.max()):.2g}).",
            "It was not trained, or not saved: nothing would tell it from the base.",
        )
    ids = sorted(moved_V.topk(min(KEPT, len(moved_V))).indices.tolist())
    return Probe(values=_pick(tuned.logits_V, ids), base=_pick(alone.logits_V, ids))


def effect(reference: Probe) -> float:
    """How far the adapter moved the logits at build, at most."""
    return max(abs(value - reference.base[name]) for name, value in reference.values.items())


def distance(reference: dict[str, float], logits_V: Tensor) -> float:
    """How far ``logits_V`` are from the recorded ones, at most; infinite for a token that is not there."""
    if any(int(name) >= len(logits_V) for name in reference):
        return float("inf")
    return max(abs(value - float(logits_V[int(name)])) for name, value in reference.items())


def _pick(logits_V: Tensor, ids: list[int]) -> dict[str, float]:
    return {str(number): round(float(logits_V[number]), 6) for number in ids}


def _answers(model: Any, tokenizer: Any, perplexity: bool) -> Answers:
    import torch

    with torch.inference_mode():
        ids_BT = tokenizer(PROMPT, add_special_tokens=False, return_tensors="pt").input_ids
        logits_V = model(input_ids=ids_BT).logits[0, -1].float()
        return Answers(logits_V, _perplexity(model, tokenizer) if perplexity else 0.0)


def _perplexity(model: Any, tokenizer: Any) -> float:
    """exp of the mean negative log-likelihood a token, in windows that do not overlap."""
    import torch

    ids_T = tokenizer(general_text(), add_special_tokens=False, return_tensors="pt").input_ids[0]
    window = min(_WINDOW, getattr(model.config, "max_position_embeddings", _WINDOW))
    total, count = 0.0, 0
    for part_T in ids_T.split(window):
        if len(part_T) < 2:
            continue
        # Methods with virtual tokens answer for these too, in front: only the text's own positions count.
        logits_TV = model(input_ids=part_T[None]).logits[0, -len(part_T) :].float()
        total += float(torch.nn.functional.cross_entropy(logits_TV[:-1], part_T[1:], reduction="sum"))
        count += len(part_T) - 1
    return exp(total / count)
