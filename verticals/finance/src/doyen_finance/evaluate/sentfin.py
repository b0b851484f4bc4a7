"""SEntFiN: the sentiment of each given entity of a headline, and how well entities are recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doyen_finance.sentiment.measure import measure


def evaluate_file(data: Path, limit: int | None = None) -> dict[str, Any]:
    """Figures of the default model on ``data``, see ``doyen_finance.sentiment.measure``. Raises FIN-040, FIN-041."""
    return measure("sentfin", data, limit)
