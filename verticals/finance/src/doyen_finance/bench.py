"""``doyen bench finance``: how fast each part is here, on the shipped sample and simulated rows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

_TEXTS: Final = 256
_T = TypeVar("_T")


def bench() -> dict[str, Any]:
    """Figures as measured on this machine: pages with and without OCR, sentences, payments, transfers, a forecast.

    ``import_seconds`` is that of ``doyen_finance.plugin``, which every worker loads.
    """
    return {
        **_statements(), **_sentiment(), **_risk(), **_forecast(), "import_seconds": _import_seconds(),
    }  # fmt: skip


def _statements() -> dict[str, float]:
    from doyen_finance.samples import REPORT
    from doyen_finance.scans import parse_scan
    from doyen_finance.statements import parse

    first, found = _timed(lambda: parse(REPORT))
    again, _ = _timed(lambda: parse(REPORT))
    ocr, scanned = _timed(lambda: parse_scan(REPORT))
    return {
        "parse_first_seconds": first, "parse_seconds_per_page": round(again / found.page_count, 3),
        "ocr_seconds_per_page": round(ocr / scanned.page_count, 2),
    }  # fmt: skip


def _sentiment() -> dict[str, float]:
    from doyen_finance.samples import NEWS
    from doyen_finance.sentiment import analyse

    text = NEWS.read_text(encoding="utf-8")
    first, _ = _timed(lambda: analyse(text))
    lines = "\n".join(f"{line} ({n})" for n in range(_TEXTS // 3) for line in text.splitlines())
    seconds, found = _timed(lambda: analyse(lines))
    return {
        "sentiment_first_seconds": first,
        "sentiment_sentences_per_second": round(len(found.sentences) / seconds, 1),
    }


def _risk() -> dict[str, float]:
    from doyen_finance.risk.run import transaction_alerts, transfer_alerts
    from doyen_finance.risk.simulate import CardWorld, simulate_cards
    from doyen_finance.risk.simulate_transfers import TransferWorld, simulate_transfers

    with tempfile.TemporaryDirectory() as folder:
        cards, bank = Path(folder) / "cards.csv", Path(folder) / "bank.csv"
        simulate_cards(CardWorld(cards=500, terminals=1000, days=40), 0).to_csv(cards, index=False)
        simulate_transfers(TransferWorld(accounts=1000, days=40, patterns=15), 0).to_csv(bank, index=False)
        paid, alerts = _timed(lambda: transaction_alerts(cards, days=7))
        moved, transfers = _timed(lambda: transfer_alerts(bank))
    return {
        "transactions_per_second": round(alerts["scored"] / paid),
        "transfers_per_second": round(transfers["transfers"] / moved),
    }


def _forecast() -> dict[str, float]:
    from doyen_finance.forecast.frame import read_csv
    from doyen_finance.forecast.run import forecast
    from doyen_finance.forecast.source import index_file

    frame = read_csv(index_file()).assign(unique_id="hs300")
    seconds, _ = _timed(lambda: forecast(frame, 20))
    return {"forecast_with_intervals_seconds": seconds}


def _timed(run: Callable[[], _T]) -> tuple[float, _T]:
    began = time.perf_counter()
    result = run()
    return round(time.perf_counter() - began, 3), result


def _import_seconds() -> float:
    code = "import time; t = time.perf_counter(); import doyen_finance.plugin; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    return round(min(runs), 3)
