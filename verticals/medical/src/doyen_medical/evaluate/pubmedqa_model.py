"""Yes, no or maybe: logistic regressions over the cues, one a fold of the training questions.

A question that was trained on is answered by the one model that did not see it, any other by the mean of all five: a
figure on the training file is a cross-validation, without further training. Choices are made inside each fold.
Shapes: N questions, F features, A answers, M models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_evaluation.classification import classification_scores
from doyen_medical.evaluate.pubmedqa_features import NAMES, features
from doyen_schemas import DoyenError

Floats = NDArray[np.float64]

ANSWERS: Final = ("yes", "no", "maybe")
FOLDS: Final = 5
SEED: Final = 0
NAME: Final = "pubmedqa"
_STRENGTHS: Final = (0.1, 0.5, 1.0)
"""C of the logistic regression."""
_ADJUSTMENTS: Final = (0.0, 0.25, 0.5, 0.75)


class Question(NamedTuple):
    """All that the model may see."""

    question: str
    contexts: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """Shipped weights.

    Attributes:
        mean_MF, scale_MF: standardisation of each fold's model.
        weight_MAF, bias_MA: its logistic regression, the adjustment of the priors included in the bias.
        seen: key of every training question to its fold.
        majority: the most frequent training answer.
        trained: data digest, seed, choices and command.
    """

    mean_MF: Floats
    scale_MF: Floats
    weight_MAF: Floats
    bias_MA: Floats
    seen: dict[str, int]
    majority: str
    trained: dict[str, Any]

    def scores(self, question: Question) -> Floats:
        """Probabilities after adjustment, (A,)."""
        x_MF = (features(*question) - self.mean_MF) / self.scale_MF
        z_MA = np.einsum("maf,mf->ma", self.weight_MAF, x_MF) + self.bias_MA
        p_MA = np.exp(z_MA - z_MA.max(1, keepdims=True))
        p_MA /= p_MA.sum(1, keepdims=True)
        fold = self.seen.get(key(question))
        return p_MA.mean(0) if fold is None else p_MA[fold]

    def answer(self, question: Question) -> str:
        """``yes``, ``no`` or ``maybe``."""
        return ANSWERS[int(self.scores(question).argmax())]


def key(question: Question) -> str:
    """The question's words, digested: the same question is recognised in another file."""
    return hashlib.sha256(" ".join(question.question.casefold().split()).encode()).hexdigest()[:16]


def fold_of(question: Question) -> int:
    """The fold in 0 … 4, from the question alone."""
    return int(key(question), 16) % FOLDS


def train(questions: Sequence[Question], answers: Sequence[str], trained: dict[str, Any]) -> Model:
    """One model a fold. The strength of the penalty and the adjustment of the priors (logit adjustment, Menon et al.
    2021, arXiv:2007.07314: p / prior^t) are those with the best mean of accuracy and macro F1 in a cross-validation
    inside the fold's own training questions.

    Raises MED-065 where a fold has fewer than five training questions of an answer.
    """
    x_NF = np.array([features(*question) for question in questions]).reshape(-1, len(NAMES))
    y_N = np.array([ANSWERS.index(answer) for answer in answers], np.int64)
    fold_N = np.array([fold_of(question) for question in questions], np.int64)
    models, choices = [], []
    for fold in range(FOLDS):
        own = fold_N != fold
        counts = np.bincount(y_N[own], minlength=len(ANSWERS))
        if counts.min() < FOLDS:
            raise DoyenError(
                "MED-065",
                f"fold {fold} has {counts.min()} training questions of an answer; {FOLDS} are the least.",
                "Give more questions of each of yes, no and maybe.",
            )
        strength, adjustment = _choose(x_NF[own], y_N[own])
        models.append(_fit(x_NF[own], y_N[own], strength, adjustment))
        choices.append({"C": strength, "adjustment": adjustment})
    mean, scale, weight, bias = (np.stack(part) for part in zip(*models, strict=True))
    return Model(
        mean, scale, weight, bias, {key(q): int(f) for q, f in zip(questions, fold_N, strict=True)},
        ANSWERS[int(np.bincount(y_N).argmax())], {**trained, "seed": SEED, "choices": choices},
    )  # fmt: skip


def save(model: Model, folder: Path) -> None:
    """Write ``pubmedqa.safetensors`` and ``pubmedqa.json``."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(getattr(model, name), np.float32) for name in _SHAPES}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / f"{NAME}.safetensors")
    facts = {"majority": model.majority, "names": NAMES, "seen": model.seen, "trained": model.trained}
    (folder / f"{NAME}.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def load(folder: Path) -> Model:
    """Read what ``save`` wrote. Raises MED-066 when it is missing or of other features."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        facts = json.loads((folder / f"{NAME}.json").read_text())
        arrays = load_file(folder / f"{NAME}.safetensors")
        model = Model(
            **{name: arrays[name].astype(np.float64) for name in _SHAPES},
            seen=dict(facts["seen"]), majority=facts["majority"], trained=facts["trained"],
        )  # fmt: skip
        fits = tuple(facts["names"]) == NAMES and all(
            getattr(model, name).shape == shape for name, shape in _SHAPES.items()
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DoyenError(
            "MED-066",
            f"the weights {NAME} cannot be read ({type(error).__name__}).",
            "Reinstall doyen-medical.",
        ) from error
    if not fits:
        raise DoyenError(
            "MED-066", f"the weights {NAME} are of other features than this version counts.",
            "Train them again with doyen medical train pubmedqa.",
        )  # fmt: skip
    return model


_SHAPES: Final = {
    "mean_MF": (FOLDS, len(NAMES)), "scale_MF": (FOLDS, len(NAMES)), "weight_MAF": (FOLDS, len(ANSWERS), len(NAMES)),
    "bias_MA": (FOLDS, len(ANSWERS)),
}  # fmt: skip


def _choose(x_NF: Floats, y_N: NDArray[np.int64]) -> tuple[float, float]:
    from sklearn.model_selection import StratifiedKFold

    best = (-1.0, _STRENGTHS[0], _ADJUSTMENTS[0])
    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(x_NF, y_N))
    for strength in _STRENGTHS:
        z_NA = np.zeros((len(y_N), len(ANSWERS)))
        for own, other in splits:
            mean, scale, weight, bias = _fit(x_NF[own], y_N[own], strength, 0.0)
            z_NA[other] = (x_NF[other] - mean) / scale @ weight.T + bias
        log_prior = np.log(np.bincount(y_N) / len(y_N))
        for adjustment in _ADJUSTMENTS:
            predicted_N = (z_NA - adjustment * log_prior).argmax(1)
            scores = classification_scores(y_N, predicted_N, ANSWERS)
            value = (scores.accuracy + scores.macro_f1) / 2
            best = max(best, (value, strength, adjustment), key=lambda found: found[0])
    return best[1], best[2]


def _fit(
    x_NF: Floats, y_N: NDArray[np.int64], strength: float, adjustment: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, scale, weights and adjusted bias."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x_NF.mean(0), x_NF.std(0)
    scale[scale == 0] = 1.0
    # Each group of features weighs the same, whatever its size.
    scale *= np.sqrt(_GROUP)
    model = LogisticRegression(C=strength, max_iter=1000).fit((x_NF - mean) / scale, y_N)
    bias = model.intercept_ - adjustment * np.log(np.bincount(y_N) / len(y_N))
    return mean, scale, model.coef_, bias


def _groups() -> Floats:
    """The number of features in the group of each: cues, question, sizes."""
    group = ["question" if n.startswith("question: ") else "cue" if ": " in n else "size" for n in NAMES]
    return np.array([group.count(own) * (4 if own == "size" else 1) for own in group], np.float64)


_GROUP: Final = _groups()
