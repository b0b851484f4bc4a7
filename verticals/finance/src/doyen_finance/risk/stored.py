"""Weights as ``NAME.safetensors`` with ``NAME.json`` beside it; the configuration names the features they are of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doyen_schemas import DoyenError


class Tensors(dict[str, NDArray[Any]]):
    """Arrays by name; a missing one is FIN-075."""

    def __missing__(self, name: str) -> NDArray[Any]:
        raise unusable(f"the weights lack {name}.")


def unusable(message: str) -> DoyenError:
    """FIN-075, to be raised."""
    return DoyenError("FIN-075", message, "Install doyen-finance anew, or train the risk models again.")


def write(
    folder: Path,
    name: str,
    tensors: Mapping[str, NDArray[Any]],
    features: Sequence[str],
    trained: dict[str, Any],
) -> None:
    """Both files, into a folder that is made where it is missing."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    arrays = {key: np.ascontiguousarray(array) for key, array in tensors.items()}
    (folder / f"{name}.safetensors").write_bytes(save(arrays))
    (folder / f"{name}.json").write_text(json.dumps({"features": list(features), **trained}, indent=1) + "\n")


def read(folder: Path, name: str, features: Sequence[str]) -> tuple[Tensors, dict[str, Any]]:
    """Arrays and configuration. Raises FIN-075 (a file is missing or broken, or of other features)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = Tensors(load_file(folder / f"{name}.safetensors"))
        config = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError, SafetensorError) as error:
        raise unusable(f"the weights {name} cannot be read: {type(error).__name__}.") from None
    if not isinstance(config, dict) or config.pop("features", None) != list(features):
        raise unusable(f"the weights {name} are of other features.")
    return tensors, config
