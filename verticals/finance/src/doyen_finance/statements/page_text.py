"""The plain text of every page, fast: PDFium in a process of its own, to find the few pages worth laying out.

``python page_text.py < FILE`` writes one JSON string a page, or one line ``{"error": NAME}`` (see
``doyen_documents.pdf.ERRORS``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

SECONDS: Final = 120
MAX_PAGES: Final = 5_000
MAX_PAGE_CHARACTERS: Final = 100_000


def page_texts(data: bytes) -> list[str]:
    """The text of each page in order; raises DOC-007 (password), DOC-008 (damaged), DOC-012, DOC-013, DOC-014."""
    from doyen_documents.pdf import ERRORS
    from doyen_schemas import DoyenError

    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__))],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DoyenError(*ERRORS["time"]) from error
    texts: list[str] = []
    for line in done.stdout.splitlines():
        record = json.loads(line)
        if isinstance(record, dict):
            raise DoyenError(*ERRORS[record["error"]])
        texts.append(record)
    if done.returncode or not texts:
        raise DoyenError(*ERRORS["died"])
    return texts


def main() -> None:
    """Write the pages' texts of the PDF on stdin to stdout."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    except pypdfium2.PdfiumError as error:
        print(json.dumps({"error": "encrypted" if "assword" in str(error) else "damaged"}))
        return
    if len(pdf) > MAX_PAGES:
        print(json.dumps({"error": "pages"}))
        return
    for index in range(len(pdf)):
        try:
            page = pdf[index]
            text = page.get_textpage().get_text_bounded()[:MAX_PAGE_CHARACTERS]
            page.close()
        except pypdfium2.PdfiumError:
            text = ""
        print(json.dumps(text))


if __name__ == "__main__":
    main()
