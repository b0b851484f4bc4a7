"""The model's part in a diagnosis: whether it may speak, how far it may move a candidate, and what it may say.

The gate file beside the adapter says whether the development cases gained by it; ``doyen medical reasoner decide``
writes it. Without that file, or with another ranker than the one it was measured with, the model is off.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_medical.cases import Patient
    from doyen_medical.llm.check import Verdict
    from doyen_medical.llm.facts import Facts
    from doyen_medical.llm.reasoner import Reasoner
    from doyen_medical.rank.library import Library
    from doyen_medical.rank.ranker import Ranking

GATE: Final = "gate.json"
SETTINGS: Final = "settings.json"
_LEAST: Final = 1e-9


class Settings(NamedTuple):
    """Weight of the model's log-probability beside the ranker's, places that a candidate may move at most, and the
    log of the first probability over the second from which the model is not asked."""

    weight: float
    places: int
    margin: float


class Gate(NamedTuple):
    """Whether the model takes part, why, and how."""

    on: bool
    reason: str
    settings: Settings


class Availability(NamedTuple):
    """Whether the stage can run here; ``reason`` says why not."""

    state: Literal["on", "off", "absent"]
    reason: str = ""


class Opinion(NamedTuple):
    """The ranking after the model, the facts in the ranker's order, whether it was asked, and its checked sentences."""

    ranking: Ranking
    facts: Facts
    asked: bool
    verdict: Verdict


def asked(chances: Sequence[float], margin: float) -> bool:
    """Whether the first candidates are close enough for the model to be asked."""
    if len(chances) < 2:
        return False
    return math.log(max(chances[0], _LEAST) / max(chances[1], _LEAST)) <= margin


def order(chances: Sequence[float], scores: Sequence[float], settings: Settings) -> list[int]:
    """The candidates' new order: by ``log(chance) + weight * score``, where nobody moves more than ``places`` places.

    Of the orders within the bound the one that agrees best with the mixed scores (largest sum of score times the
    places behind it); equal ones stay as the ranker has them. Scores that are not finite change nothing.
    """
    mixed = [
        math.log(max(chance, _LEAST)) + settings.weight * score
        for chance, score in zip(chances, scores, strict=True)
    ]
    count = len(mixed)
    if not all(map(math.isfinite, mixed)):
        return list(range(count))
    within = (
        found
        for found in itertools.permutations(range(count))
        if all(abs(place - at) <= settings.places for place, at in enumerate(found))
    )
    # ``max`` keeps the first of equals, and the ranker's own order comes first.
    return list(
        max(
            within,
            key=lambda found: round(sum(mixed[at] * (count - place) for place, at in enumerate(found)), 9),
        )
    )


def second_opinion(
    ranking: Ranking, patient: Patient, library: Library, reasoner: Reasoner, settings: Settings
) -> Opinion:
    """Ask the model about the first candidates of a ranking, and put them in the order within the bound.

    The places keep their probabilities: the model says who stands where, not how sure the ranking is.
    """
    from doyen_medical.explain.evidence import Explainer
    from doyen_medical.llm.check import Verdict, check
    from doyen_medical.llm.facts import SHOWN, facts_of

    shown = min(SHOWN, len(ranking.chances))
    facts = facts_of(Explainer(library), patient, [int(column) for column in ranking.columns[:shown]])
    chances = list(map(float, ranking.chances[:shown]))
    if not asked(chances, settings.margin):
        return Opinion(ranking, facts, False, Verdict())
    found = order(chances, reasoner.letter_scores(facts), settings)
    columns = np.concatenate([ranking.columns[:shown][found], ranking.columns[shown:]])
    after = facts.reordered(found)
    labels = frozenset(library.knowledge.ontology.labels)
    verdict = check(reasoner.steps(after), after, labels.__contains__)
    return Opinion(replace(ranking, columns=columns), facts, True, verdict)


def folder() -> Path:
    """The adapter's folder among the weights in use."""
    from doyen_medical import weights
    from doyen_medical.llm.reasoner import NAME

    return weights.folder() / NAME


def ranker_sha256() -> str:
    """Digest of the ranker in use: a gate holds for the ranker that it was measured with."""
    from doyen_medical import weights

    return hashlib.sha256((weights.folder() / "ranker.safetensors").read_bytes()).hexdigest()


def read_settings(folder: Path) -> Settings:
    """What ``doyen medical reasoner tune`` wrote beside an adapter. Raises MED-111."""
    content = _read(folder / SETTINGS)
    try:
        return _settings(content["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(SETTINGS, error) from error


@cache
def shipped_gate() -> Gate:
    """The gate of the adapter in use: off without an adapter, or for another ranker. Raises MED-111 when it is damaged."""
    path = folder() / GATE
    if not path.is_file():
        return Gate(False, "no tuned model is among the weights", Settings(0.0, 0, 0.0))
    content = _read(path)
    try:
        on, settings = bool(content["on"]), _settings(content["settings"])
        reason, ranker = str(content["reason"]), str(content["ranker_sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(GATE, error) from error
    if on and ranker != ranker_sha256():
        return Gate(False, "it was measured with another ranker than the one in use", settings)
    return Gate(on, reason, settings)


def decided(figures: dict[str, Any]) -> dict[str, Any]:
    """The gate file of a comparison (``measure.compare``): on where the MRR rises and its 95 % interval starts at zero
    or above. Asking the model costs seconds a report, so a gain that chance gives is none."""
    gain, (low, high) = figures["gain"]["mrr"], figures["ci95"].get("mrr", (-math.inf, math.inf))
    before, after = figures["ranker"]["mrr"], figures["with_model"]["mrr"]
    verb = "fell" if gain < 0 else "rose" if gain > 0 else "stayed"
    return {
        "on": gain > 0 and low >= 0,
        "reason": f"the MRR of {figures['n']} development cases {verb} from {before:.4f} to {after:.4f}"
        f" (95 % interval of the gain {low:+.4f} to {high:+.4f})",
        "settings": figures["settings"],
        "ranker_sha256": ranker_sha256(),
        "figures": figures,
    }


@cache
def shipped_reasoner() -> Reasoner:
    """The adapter in use on its base, loaded once a process. Raises MOD-002 when the base is absent."""
    from doyen_medical.llm.reasoner import load_reasoner

    return load_reasoner(folder())


def availability() -> Availability:
    """Whether the model can take part here: ``off`` by its gate, ``absent`` without the base."""
    gate = shipped_gate()
    if not gate.on:
        return Availability("off", gate.reason)
    from doyen_modeling.base import base_path
    from doyen_modeling.methods import adapter_base

    try:
        base_path(adapter_base(folder()).source)
    except DoyenError as error:
        return Availability("absent", f"{error.message} {error.hint}")
    return Availability("on")


def _settings(content: dict[str, Any]) -> Settings:
    found = Settings(float(content["weight"]), int(content["places"]), float(content["margin"]))
    if not (found.weight >= 0 and found.places >= 0 and math.isfinite(found.weight + found.margin)):
        raise ValueError
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path.name, error) from error
    if not isinstance(content, dict):
        raise _damaged(path.name, TypeError())
    return content


def _damaged(name: str, error: Exception) -> DoyenError:
    return DoyenError(
        "MED-111", f"{name} of the reasoner is missing or damaged ({type(error).__name__}).",
        "Run doyen medical reasoner tune and decide, or reinstall doyen-medical.",
    )  # fmt: skip
