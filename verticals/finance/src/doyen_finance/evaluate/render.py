"""HTML reports printed to PDF by headless Chromium; a part of the benchmark, never of the product."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
SECONDS: Final = 180
# A report from outside must neither run nor fetch anything while it is printed.
POLICY: Final = (
    b"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
# The policy stops scripts and fetches; a page can still send the browser elsewhere.
_REFRESH: Final = re.compile(rb"<meta[^>]{0,200}refresh[^>]*", re.IGNORECASE)


def cache_folder() -> Path:
    """Where printed PDFs are kept: ``printed`` in Doyen's cache."""
    return get_settings().cache / "printed"


def print_html(data: bytes) -> Path:
    """The PDF of an HTML file, from the cache where it was printed before (by content).

    Raises FIN-013 (no Chromium on PATH) and FIN-014 (it printed nothing within 180 s).
    """
    target = cache_folder() / f"{hashlib.sha256(POLICY + data).hexdigest()}.pdf"
    if target.is_file():
        return target
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise DoyenError("FIN-013", "no Chromium on PATH; the benchmark prints with it.", "Install chromium.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "report.html").write_bytes(_with_policy(data))
        command = [
            program, "--headless", "--disable-gpu", "--no-first-run", "--proxy-server=127.0.0.1:9",
            f"--user-data-dir={folder / 'profile'}",
            "--no-pdf-header-footer", f"--print-to-pdf={folder / 'report.pdf'}",
        ]  # fmt: skip
        if os.geteuid() == 0:  # Chromium's sandbox refuses root
            command.append("--no-sandbox")
        try:
            subprocess.run(
                [*command, (folder / "report.html").as_uri()],
                check=True, timeout=SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            os.replace(shutil.copy(folder / "report.pdf", target.with_suffix(".new")), target)
        except (subprocess.SubprocessError, OSError) as error:
            raise DoyenError(
                "FIN-014", "Chromium printed no PDF of the report.", "Print it by hand to see why."
            ) from error
    return target


def _with_policy(data: bytes) -> bytes:
    data = _REFRESH.sub(b"<meta ", data)
    head = re.search(rb"<head[^>]*>", data, re.IGNORECASE)
    place = head.end() if head else 0
    return data[:place] + POLICY + data[place:]
