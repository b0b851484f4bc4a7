"""``doyen bench medical``: seconds to load and to rank, on made-up patients."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Final

_PATIENTS: Final = 100


def bench() -> dict[str, Any]:
    """Figures as measured on this machine: first report, ranking and whole report a patient, import."""
    import numpy as np

    from doyen_medical.cases import Patient
    from doyen_medical.knowledge.store import load
    from doyen_medical.pipeline import Diagnoser, _production

    began = time.perf_counter()
    diagnoser = Diagnoser()
    diagnoser.diagnose_terms(["HP:0001250", "HP:0001263"])
    first = time.perf_counter() - began
    ontology, ranker = load().ontology, _production()
    usual = np.flatnonzero(ranker.library.content_T > 2)
    drawn = np.random.default_rng(0).choice(usual, (_PATIENTS, 12))
    began = time.perf_counter()
    for terms in drawn:
        ranker.rank(Patient(tuple(sorted({int(t) for t in terms}))))
    ranking = (time.perf_counter() - began) / _PATIENTS
    began = time.perf_counter()
    for terms in drawn[:20]:
        diagnoser.diagnose_terms([ontology.ids[t] for t in terms])
    report = (time.perf_counter() - began) / 20
    code = (
        "import time; began = time.perf_counter(); import doyen_medical; print(time.perf_counter() - began)"
    )
    imports = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    return {
        "first_seconds": round(first, 2),
        "ranking_seconds": round(ranking, 4),
        "report_seconds": round(report, 4),
        "cases_10000_minutes_one_core": round(ranking * 10_000 / 60, 1),
        "import_seconds": round(min(imports), 3),
    }
