"""The shipped forecaster on the index's test years (2020 on): errors beside repeat-last's, coverage of the intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doyen_finance import weights
from doyen_finance.forecast.index import IndexModel, index_series, measure


def evaluate_file(data: Path, limit: int | None) -> dict[str, Any]:
    """``data``: bars with date and close, or ``hs300`` for those of the package. Raises FIN-05x.

    ``limit``: the first windows of the test years. Errors are of the log close in per cent, over 5 and 20 days ahead.
    """
    series = index_series(None if str(data) == "hs300" and not data.exists() else data)
    return {"protocol": "hs300"} | measure(IndexModel.load(weights.part("forecaster")), series, limit)
