"""How the queue sees the finance vertical: ``finance``, and ``finance-ocr`` with a queue of its own for page images.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from doyen_finance import weights
from doyen_finance.pipeline import IMAGES, PIPELINE_VERSION, TABLES, TEXTS, review_file
from doyen_runtime.verticals import Vertical, no_options
from doyen_schemas import DoyenError

_MODELS: Final = ("encoder", "lora")
_NUMBERS: Final = {"horizon": (20, 20), "budget": (100, 100_000)}
"""Option to its default and highest value."""


def validate_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """``model`` (sentiment: encoder or lora), ``horizon`` (forecasts, 1 to 20), ``budget`` (cards a day, 1 to 100000).

    Raises FIN-004 (unknown option or value).
    """
    known = ("model", *_NUMBERS)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise DoyenError("FIN-004", f"unknown option {unknown[0]!r}.", f"Options: {', '.join(known)}.")
    model = options.get("model")
    if model is not None and model not in _MODELS:
        raise DoyenError(
            "FIN-004", f"option model is {model!r}.", f"Write one of {', '.join(_MODELS)}, or leave it out."
        )
    checked: dict[str, Any] = {"model": model}
    for name, (default, most) in _NUMBERS.items():
        value = str(options.get(name, default))
        if not value.isdecimal() or not 1 <= int(value) <= most:
            raise DoyenError(
                "FIN-004", f"option {name} is {value!r}; it must be 1 to {most}.", f"Write {name}={default}."
            )
        checked[name] = int(value)
    return checked


def review(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """One file of a batch."""
    return review_file(path, options).model_dump(mode="json")


def review_scan(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """One page image or PDF of page images of a batch."""
    return review_file(path, options, ocr=True).model_dump(mode="json")


def probe(folder: Path) -> dict[str, float]:
    """Fixed answers of an adapter folder, for its release."""
    from doyen_finance.probe import probe as run

    return run(folder)


def bench() -> dict[str, Any]:
    """``doyen bench finance``."""
    from doyen_finance.bench import bench as run

    return run()


VERTICAL: Final = Vertical(
    name="finance",
    version=version("doyen-finance"),
    pipeline_version=PIPELINE_VERSION,
    suffixes=frozenset({".pdf"}) | IMAGES | TEXTS | TABLES,
    adapter_digest=lambda: weights.release()[1],
    review=review,
    validate_options=validate_options,
    bench=bench,
    probe=probe,
)

OCR: Final = Vertical(
    name="finance-ocr",
    version=version("doyen-finance"),
    pipeline_version=PIPELINE_VERSION,
    suffixes=frozenset({".pdf"}) | IMAGES,
    adapter_digest=lambda: weights.release()[1],
    review=review_scan,
    validate_options=no_options,
)
