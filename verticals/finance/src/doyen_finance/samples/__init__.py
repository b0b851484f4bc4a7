"""An invented company's report and news: for a first try, the bench and the tests. Made by infra/samples/make_report.py."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
REPORT: Final = FOLDER / "report.pdf"
NEWS: Final = FOLDER / "news.txt"
