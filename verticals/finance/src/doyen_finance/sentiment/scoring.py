"""Probabilities of the shipped models: encoder or LoRA, mixed with the linear model, calibrated on dev.

The mixture is ``softmax(scale · model + linear · floor + bias)`` with three kinds of weights fitted on the dev part
(stacking, Wolpert 1992; with ``linear`` and ``bias`` zero it is temperature scaling, Guo et al. 2017,
arXiv:1706.04599). Whole texts and marked targets have weights of their own, for their corpora differ.

Shapes: N targets, C sentiments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_finance.sentiment import linear
from doyen_finance.sentiment.corpora import LABELS, Target
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.sentiment.model import SentimentModel

PART: Final = "sentiment"
CONFIG: Final = "sentiment.json"
ENCODER: Final = "encoder.safetensors"
KINDS: Final = ("text", "target")


class Model(StrEnum):
    """Which model answers: the tuned encoder, the LoRA adapter on the embedded base, or the linear floor."""

    encoder = "encoder"
    lora = "lora"
    linear = "linear"


@dataclass(frozen=True, slots=True)
class Blend:
    """How logits become probabilities: weights of the model's and the linear model's logits, and a bias [C]."""

    scale: float = 1.0
    linear: float = 0.0
    bias: tuple[float, ...] = (0.0, 0.0, 0.0)

    def probabilities(self, model_NC: np.ndarray, linear_NC: np.ndarray) -> np.ndarray:
        """Rows that sum to one, float64."""
        z_NC = self.scale * model_NC.astype(np.float64) + self.linear * linear_NC + np.array(self.bias)
        z_NC = np.exp(z_NC - z_NC.max(axis=1, keepdims=True))
        rows: np.ndarray = z_NC / z_NC.sum(axis=1, keepdims=True)
        return rows


def fit_blend(model_NC: np.ndarray, linear_NC: np.ndarray, labels: Sequence[int], *, bias: bool) -> Blend:
    """The blend of least negative log-likelihood; a weak penalty keeps the bias small."""
    from scipy.optimize import minimize

    rows, gold = np.arange(len(labels)), np.asarray(labels)

    def blend(x: np.ndarray) -> Blend:
        return Blend(float(x[0]), float(x[1]), tuple(map(float, x[2:])) if bias else (0.0,) * len(LABELS))

    def loss(x: np.ndarray) -> float:
        p_N = blend(x).probabilities(model_NC, linear_NC)[rows, gold]
        return float(-np.log(p_N + 1e-12).mean() + 0.01 * (x[2:] ** 2).sum())

    start = np.array([1.0, 0.0, *([0.0] * len(LABELS) if bias else [])])
    bounds = [(1e-3, 20.0), (0.0, 20.0), *([(-5.0, 5.0)] * len(LABELS) if bias else [])]
    return blend(minimize(loss, start, bounds=bounds, method="L-BFGS-B").x)


def probabilities(targets: Sequence[Target], model: Model = Model.encoder, wording: int = 0) -> np.ndarray:
    """Probabilities [N, C] in the order of ``LABELS``; ``wording`` is that of the LoRA's question.

    FIN-001, FIN-045, MOD-002 (no base) and FIN-048.
    """
    out = np.zeros((len(targets), len(LABELS)))
    scores_NC = _model_logits(targets, model, wording)
    for kind in KINDS:
        rows = [i for i, t in enumerate(targets) if kind_of(t) == kind]
        if rows:
            floor_NC = floor_model(kind).logits([targets[i] for i in rows])
            blend = blends(model)[kind]
            model_NC = floor_NC if model is Model.linear else scores_NC[rows]
            out[rows] = blend.probabilities(model_NC, floor_NC)
    return out


def kind_of(item: Target) -> str:
    """``text`` where the whole text is judged, ``target`` where a part is marked."""
    return "target" if item.spans else "text"


def _model_logits(targets: Sequence[Target], model: Model, wording: int) -> np.ndarray:
    if model is Model.encoder:
        from doyen_finance.sentiment.model import sentiment_logits

        return sentiment_logits(encoder(), targets)
    if model is Model.lora:
        from doyen_finance.sentiment import llm

        return llm.logits(llm.shipped(), targets, wording)
    return np.zeros((len(targets), len(LABELS)))


@cache
def encoder() -> SentimentModel:
    """The tuned encoder of the adapter in use, loaded once a process."""
    from doyen_finance.sentiment.adapter import load

    return load(_folder() / ENCODER, config())


@cache
def floor_model(kind: str) -> linear.LinearModel:
    """The shipped linear model of whole texts or of marked targets."""
    from doyen_finance.sentiment.adapter import unreadable

    path = _folder() / f"linear-{kind}.safetensors"
    try:
        return linear.load(path)
    except Exception as error:
        raise unreadable(path, error) from error


@cache
def blends(model: Model) -> dict[str, Blend]:
    """The calibration of each kind of target."""
    return read_blends(config()["blends"][model.value])


def read_blends(stated: dict[str, Any]) -> dict[str, Blend]:
    """Blends as JSON has them."""
    return {
        kind: Blend(float(b["scale"]), float(b["linear"]), tuple(map(float, b["bias"])))
        for kind, b in stated.items()
    }


def write_blends(fitted: dict[str, Blend]) -> dict[str, Any]:
    """Blends as JSON has them, to five digits."""
    rounded = {}
    for kind, blend in fitted.items():
        row = asdict(blend)
        rounded[kind] = {
            "scale": round(row["scale"], 5),
            "linear": round(row["linear"], 5),
            "bias": [round(b, 5) for b in row["bias"]],
        }
    return rounded


@cache
def config() -> dict[str, Any]:
    """The configuration of the adapter in use. Raises FIN-001 (no such part), FIN-045 (unreadable)."""
    from doyen_finance.sentiment.adapter import unreadable

    path = _folder() / CONFIG
    try:
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for model in stated["blends"].values():
            read_blends(model)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(path, error) from error
    return stated


def default_model() -> Model:
    """The model that dev chose."""
    return Model(config()["default"])


def require(model: Model) -> None:
    """Raises FIN-046 when the adapter in use has no calibration of ``model``."""
    if model.value not in config()["blends"]:
        raise DoyenError(
            "FIN-046", f"the adapter in use has no sentiment model {model.value!r}.",
            f"It has: {', '.join(config()['blends'])}.",
        )  # fmt: skip


def _folder() -> Path:
    from doyen_finance import weights

    return weights.part(PART)
