"""Write a backtest's files: JSON, daily series and page."""

from __future__ import annotations

import json
import os
from pathlib import Path

from doyen_finance.backtest.as_html import as_html
from doyen_finance.backtest.result import Backtest
from doyen_schemas import DoyenError


def write(result: Backtest, folder: Path) -> dict[str, Path]:
    """``backtest.json``, ``daily.csv`` and ``backtest.html`` in a folder. Raises FIN-068 (cannot be written)."""
    contents = {
        "json": json.dumps(result.as_json(), ensure_ascii=False, indent=1).encode() + b"\n",
        "csv": result.daily()
        .to_csv(float_format="%.8f", date_format="%Y-%m-%d", lineterminator="\n")
        .encode(),
        "html": as_html(result),
    }
    paths = {name: folder / ("daily.csv" if name == "csv" else f"backtest.{name}") for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(contents[name])
            os.replace(part, path)
    except OSError as error:
        raise DoyenError(
            "FIN-068", f"{folder} cannot be written ({error.strerror}).", "Choose another folder with --out."
        ) from error
    return paths
