"""The plain text and the images of pages, fast: PDFium in a process of its own, which a hostile file cannot leave.

``python page_text.py < FILE`` writes one JSON string a page; ``python page_text.py 3,4 < FILE`` draws these pages
and writes ``[number, base64 of a JPEG]`` for each. A failure is one line ``{"error": NAME}`` (see
``doyen_documents.pdf.ERRORS``).
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 120
MAX_PAGES: Final = 5_000
MAX_PAGE_CHARACTERS: Final = 100_000
# Pixels of a drawn page's longer side.
MAX_SIDE: Final = 1_300


def page_texts(data: bytes) -> list[str]:
    """The text of each page in order; raises DOC-007 (password), DOC-008 (damaged), DOC-012, DOC-013, DOC-014."""
    return [str(record) for record in _run(data)]


def page_images(data: bytes, numbers: Sequence[int]) -> dict[int, str]:
    """Pages (from 1) as base64 of JPEG images, grey; raises as ``page_texts``."""
    return {number: image for number, image in _run(data, ",".join(map(str, numbers)))} if numbers else {}


def _run(data: bytes, *arguments: str) -> list[Any]:
    from doyen_documents.pdf import ERRORS
    from doyen_schemas import DoyenError

    command = [sys.executable, "-P", str(Path(__file__)), *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DoyenError(*ERRORS["time"]) from error
    records = [json.loads(line) for line in done.stdout.splitlines()]
    failed = next((record for record in records if isinstance(record, dict)), None)
    if failed is not None:
        raise DoyenError(*ERRORS[failed["error"]])
    if done.returncode or not records:
        raise DoyenError(*ERRORS["died"])
    return records


def main() -> None:
    """Write the texts, or the images of the named pages, of the PDF on stdin to stdout."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    except pypdfium2.PdfiumError as error:
        print(json.dumps({"error": "encrypted" if "assword" in str(error) else "damaged"}))
        return
    if len(pdf) > MAX_PAGES:
        print(json.dumps({"error": "pages"}))
        return
    numbers = [int(number) for number in sys.argv[1].split(",")] if len(sys.argv) > 1 else None
    for index in range(len(pdf)) if numbers is None else (number - 1 for number in numbers):
        try:
            page = pdf[index]
            print(json.dumps(_text(page) if numbers is None else [index + 1, _image(page)]))
            page.close()
        except pypdfium2.PdfiumError:
            if numbers is None:
                print(json.dumps(""))


def _text(page: Any) -> str:
    return str(page.get_textpage().get_text_bounded()[:MAX_PAGE_CHARACTERS])


def _image(page: Any) -> str:
    buffer = BytesIO()
    picture = page.render(scale=MAX_SIDE / max(*page.get_size(), 1), grayscale=True).to_pil()
    picture.convert("L").save(buffer, "JPEG", quality=60)
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    main()
