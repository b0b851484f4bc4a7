"""One file to one report: what it is decides what is done with it.

PDF: the statements. Image, or PDF without a text layer (queue ``finance-ocr``): the same after OCR. Text: sentiment.
CSV: card transactions, credit clients, transfers or time series, told by the columns.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.report import FinanceReport, Task

PIPELINE_VERSION: Final = "1"
IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
TEXTS: Final = frozenset({".txt", ".md", ".html", ".htm", ".docx"})
TABLES: Final = frozenset({".csv"})
# What a CSV is, by columns that only it has.
_COLUMNS: Final[tuple[tuple[Task, frozenset[str]], ...]] = (
    ("transactions", frozenset({"transaction_id", "terminal_id", "tx_amount"})),
    ("transfers", frozenset({"transfer_id", "from", "to", "amount"})),
    ("credit", frozenset({"limit_bal", "pay_0", "bill_amt1"})),
    ("forecast", frozenset({"ds", "y"})),
    ("forecast", frozenset({"date", "close"})),
)
_HEADER_BYTES: Final = 65_536


class _Done(NamedTuple):
    """A part's result under its field of the report, with the size of what was read."""

    result: dict[str, Any]
    media_type: str
    pages: int = 0
    characters: int = 0


def review_file(path: str | Path, options: Mapping[str, Any], *, ocr: bool = False) -> FinanceReport:
    """The report of one file. With ``ocr`` its pages are read as images, which takes seconds a page.

    ``options`` as ``doyen_finance.plugin.validate_options`` gives them. Raises FIN-002 (an image where OCR is not asked
    for), FIN-003 (a CSV of unknown columns) and what the part raises.
    """
    from doyen_finance import weights
    from doyen_finance.report import FinanceReport
    from doyen_schemas import DocumentInfo, Stage

    path = Path(path)
    task = task_of(path)
    if path.suffix.lower() in IMAGES and not ocr:
        raise DoyenError("FIN-002", f"{path.name} is an image.", "Submit it with --vertical finance-ocr.")
    began = time.perf_counter()
    done = (_scan if ocr else _RUN[task])(path, options)
    seconds = round(time.perf_counter() - began, 3)
    adapter, digest = weights.release()
    return FinanceReport(
        vertical="finance-ocr" if ocr else "finance",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=task,
        document=DocumentInfo(
            name=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), media_type=done.media_type,
            pages=done.pages, characters=done.characters, needs_ocr=ocr,
        ),
        stages=[Stage(name=task, state="ran", version=adapter, seconds=seconds)],
        versions={"doyen-finance": version("doyen-finance"), "adapter_digest": digest},
        **done.result,
    )  # fmt: skip


def task_of(path: Path) -> Task:
    """What is done with a file, by its suffix and, for a CSV, its columns. Raises FIN-003."""
    suffix = path.suffix.lower()
    if suffix == ".pdf" or suffix in IMAGES:
        return "statements"
    if suffix in TEXTS:
        return "sentiment"
    with path.open("rb") as file:
        header = file.readline(_HEADER_BYTES).decode("utf-8-sig", errors="replace")
    names = {name.strip().strip('"').lower() for name in header.split(",")}
    for task, needed in _COLUMNS:
        if needed <= names:
            return task
    raise DoyenError(
        "FIN-003", f"the columns of {path.name} are those of no known table.",
        "Known: " + "; ".join(", ".join(sorted(needed)) for _, needed in _COLUMNS) + ".",
    )  # fmt: skip


def _statements(path: Path, _: Mapping[str, Any]) -> _Done:
    from doyen_finance.statements import parse

    found = parse(path)
    return _Done({"statements": _timeless(found)}, "application/pdf", found.page_count)


def _scan(path: Path, _: Mapping[str, Any]) -> _Done:
    from doyen_finance.scans import parse_scan

    found = parse_scan(path)
    media = "application/pdf" if path.suffix.lower() == ".pdf" else f"image/{path.suffix.lower()[1:]}"
    return _Done({"statements": _timeless(found)}, media, found.page_count)


def _timeless(report: Any) -> Any:
    """Without the wall clock: the stage holds it, and the same file gives the same result."""
    return report.model_copy(update={"seconds": 0.0})


def _sentiment(path: Path, options: Mapping[str, Any]) -> _Done:
    from doyen_documents import read
    from doyen_finance.sentiment import analyse

    document = read(path)
    found = analyse(document.text, model=options["model"])
    return _Done({"sentiment": found}, document.media_type, len(document.pages), len(document.text))


def _forecast(path: Path, options: Mapping[str, Any]) -> _Done:
    from doyen_finance.forecast.frame import read_csv
    from doyen_finance.forecast.run import forecast

    return _Done({"forecast": forecast(read_csv(path), options["horizon"])}, "text/csv")


def _transactions(path: Path, options: Mapping[str, Any]) -> _Done:
    from doyen_finance.risk.run import transaction_alerts

    return _Done({"risk": transaction_alerts(path, options["budget"])}, "text/csv")


def _credit(path: Path, _: Mapping[str, Any]) -> _Done:
    from doyen_finance.risk.run import client_scores

    return _Done({"risk": client_scores(path)}, "text/csv")


def _transfers(path: Path, _: Mapping[str, Any]) -> _Done:
    from doyen_finance.risk.run import transfer_alerts

    return _Done({"risk": transfer_alerts(path)}, "text/csv")


_RUN: Final[dict[Task, Callable[[Path, Mapping[str, Any]], _Done]]] = {
    "statements": _statements,
    "sentiment": _sentiment,
    "forecast": _forecast,
    "transactions": _transactions,
    "credit": _credit,
    "transfers": _transfers,
}
