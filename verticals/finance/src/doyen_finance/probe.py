"""Answers of the shipped parts to an input that never changes, recorded by a release and compared before a promotion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

_TEXT: Final = "Acme raised its forecast and its shares jumped."


def probe(folder: Path) -> dict[str, float]:
    """One or two numbers of each part in ``folder``; a part that is not there answers nothing."""
    parts = {"sentiment": _sentiment, "forecaster": _forecaster, "risk": _risk, "questions": _questions}
    found: dict[str, float] = {}
    for name, ask in parts.items():
        if (folder / name).is_dir():
            found |= {f"{name}_{key}": round(value, 5) for key, value in ask(folder / name).items()}
    return found


def _sentiment(folder: Path) -> dict[str, float]:
    from doyen_finance.sentiment.adapter import load
    from doyen_finance.sentiment.corpora import Target
    from doyen_finance.sentiment.model import sentiment_logits
    from doyen_finance.sentiment.scoring import CONFIG, ENCODER

    model = load(folder / ENCODER, json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    whole, marked = sentiment_logits(model, [Target(_TEXT), Target(_TEXT, ((0, 4),))])
    return {"text": float(whole[2] - whole[0]), "entity": float(marked[2] - marked[0])}


def _forecaster(folder: Path) -> dict[str, float]:
    from doyen_finance.forecast.index import IndexModel

    model = IndexModel.load(folder)
    wave = np.sin(np.arange(model.look_back) / 7.0)
    return {"first": float(model.predict({"wave": 100 + wave}, 1)["wave"][0])}


def _risk(folder: Path) -> dict[str, float]:
    from doyen_finance.risk.aml import load_aml
    from doyen_finance.risk.aml_patterns import FEATURES, Candidate
    from doyen_finance.risk.credit import load_credit
    from doyen_finance.risk.fraud import load_fraud

    fraud, credit, aml = load_fraud(folder), load_credit(folder), load_aml(folder)
    burst = Candidate("fan_in", 0, np.zeros(0, np.int64), (10.0,) * len(FEATURES))
    return {
        "fraud": float(fraud.scores(fraud.reference[None]).score[0]),
        "credit": float(credit.scores(credit.reference[None], np.zeros(1, credit.digests.dtype)).risk[0]),
        "aml": float(aml.scores([burst])[0]),
    }


def _questions(folder: Path) -> dict[str, float]:
    from doyen_finance.questions.features import NAMES
    from doyen_finance.questions.store import load_models

    models = load_models(folder)
    wave = np.sin(np.arange(3 * len(NAMES), dtype=np.float32)).reshape(3, -1)
    return {"ranker": float(np.ravel(models.ranker.probabilities(wave))[0]), "threshold": models.threshold}
