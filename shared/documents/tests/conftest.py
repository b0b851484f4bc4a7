"""Files that the tests make, and a cache of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PdfMaker = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def make_pdf(tmp_path: Path) -> PdfMaker:
    """``make_pdf(pages, name=…, password=…)``: a PDF of pages of ``(x, y from the bottom, text)``."""
    from reportlab.lib import pdfencrypt
    from reportlab.pdfgen.canvas import Canvas

    def make(
        pages: list[list[tuple[float, float, str]]],
        name: str = "made.pdf",
        password: str | None = None,
        rotate: int = 0,
    ) -> Path:
        path = tmp_path / name
        lock = (
            pdfencrypt.StandardEncryption(password, "owner", strength=128) if password is not None else None
        )
        # reportlab turns the media box with the page, so that it must be given the size as shown.
        size = (792, 612) if rotate in (90, 270) else (612, 792)
        canvas = Canvas(str(path), pagesize=size, encrypt=lock)
        for page in pages:
            canvas.setFont("Helvetica", 11)
            if rotate:
                canvas.setPageRotation(rotate)
            for x, y, text in page:
                canvas.drawString(x, y, text)
            canvas.showPage()
        canvas.save()
        return path

    return make
