"""The ranker, the linear models and the calibration on disk: safetensors with JSON beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_finance.questions.answer import Models
from doyen_finance.questions.features import NAMES
from doyen_finance.questions.linear import LinearModel
from doyen_finance.questions.ranker import Ranker
from doyen_schemas import DoyenError

WEIGHTS: Final = "ranker.safetensors"
CONFIG: Final = "ranker.json"


def save_models(models: Models, folder: Path, extra: dict[str, Any]) -> None:
    """Write weights in fp16 (the standardisation in fp32) and the configuration; ``extra`` joins it."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, np.ndarray] = {
        "mean": models.ranker.mean.astype(np.float32), "deviation": models.ranker.deviation.astype(np.float32),
        "first": models.ranker.first.astype(np.float16), "second": models.ranker.second.astype(np.float16),
        "operations": models.operations.weights.astype(np.float16), "scales": models.scales.weights.astype(np.float16),
    }  # fmt: skip
    # safetensors writes the memory as it lies: arrays in another order would come back scrambled.
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors leaves 0600, which a package would carry to other users
    config = {
        "features": list(NAMES), "knots": [list(knot) for knot in models.knots], "threshold": models.threshold,
        "operations": {"classes": models.operations.classes, "signs": list(models.operations.vocabulary)},
        "scales": {"classes": models.scales.classes, "signs": list(models.scales.vocabulary)},
        **extra,
    }  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False) + "\n", encoding="utf-8")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration. Raises FIN-083 (missing or unreadable)."""
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(error) from error
    return config


def load_models(folder: Path) -> Models:
    """Read what ``save_models`` wrote. Raises FIN-083 (missing, unreadable, or for other features)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    config = read_config(folder)
    try:
        tensors = load_file(folder / WEIGHTS)
        if config["features"] != list(NAMES):
            raise ValueError("features")
        linear = [
            LinearModel(
                {sign: i for i, sign in enumerate(config[name]["signs"])}, tuple(config[name]["classes"]),
                tensors[name].astype(np.float32),
            ) for name in ("operations", "scales")
        ]  # fmt: skip
        ranker = Ranker(
            *(tensors[name].astype(np.float32) for name in ("mean", "deviation", "first", "second"))
        )
        knots = tuple((float(x), float(y)) for x, y in config["knots"])
        return Models(linear[0], linear[1], ranker, knots, float(config["threshold"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> DoyenError:
    return DoyenError(
        "FIN-083",
        f"the question ranker cannot be used ({type(error).__name__}).",
        "Reinstall doyen-finance, or run: doyen finance train questions.",
    )
