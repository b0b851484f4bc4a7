"""Answers of the fusers to an input that never changes, recorded by a release and compared before a promotion."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from doyen_medical.rank.fuser import load

_CANDIDATES: Final = 5


def probe(folder: Path) -> dict[str, float]:
    """Probability of the first of five made-up candidates, and of none of them, by fuser."""
    found = {}
    for name in ("ranker", "literature"):
        fuser = load(folder, name)
        wave = np.sin(np.arange(_CANDIDATES * len(fuser.names), dtype=np.float64)).reshape(_CANDIDATES, -1)
        judged = fuser.judge(wave.astype(np.float32), np.array([5, 4, 8, 20], np.float32))
        found[f"{name}_first"] = round(float(judged.chance_N[0]), 6)
        found[f"{name}_none"] = round(judged.none, 6)
    return found
