"""PDF: words from a separate process, laid out into text with pages and boxes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from doyen_documents.layout import Line, Word, find_lines
from doyen_documents.paragraphs import Piece, to_pieces
from doyen_documents.running import Sheet, mark_running
from doyen_documents.sections import find_sections
from doyen_schemas import Document, DoyenError, Edit, Page, Run

# A page takes well under a second; a minute without one means that the parser is lost.
PAGE_SECONDS: Final = 60.0
TOTAL_SECONDS: Final = 1800.0
MAX_CHARACTERS: Final = 50_000_000

ERRORS: Final = {
    "encrypted": ("DOC-007", "the PDF is encrypted and needs a password.", "Save a copy without the password."),
    "damaged": ("DOC-008", "the PDF is damaged or cut short: no page could be read.", "Fetch or export the file again."),
    "truncated": ("DOC-008", "the PDF is cut short: its end mark is missing.", "Fetch or export the file again."),
    "pages": ("DOC-014", "the PDF has more than 5000 pages.", "Split the file."),
    "memory": ("DOC-013", "the PDF needs more than 4 GiB of memory to read.", "Print it to a new PDF and use that."),
    "size": ("DOC-014", "the PDF holds more than 50 million characters.", "Split the file."),
    "time": ("DOC-012", "the PDF was given up: a page took over 60 s, or all of it over 30 min.", "Print it to a new PDF and use that."),
    "died": ("DOC-013", "the process that read the PDF died.", "Print it to a new PDF and use that."),
}  # fmt: skip


def read_pdf(data: bytes, sha256: str, name: str) -> Document:
    """A document of a PDF; raises DOC-007, DOC-008, DOC-012, DOC-013 and DOC-014 (see ``ERRORS``)."""
    # Parsers mend a file that is cut short by dropping its last pages without a word.
    if b"%%EOF" not in data[-16_384:]:
        raise DoyenError(*ERRORS["truncated"])
    return build(list(page_records(data)), sha256, name)


def page_records(data: bytes, *options: str) -> Iterator[dict[str, Any]]:
    """The worker's page records (options: see ``pdf_worker``); the clock stops a worker that sends none."""
    # Run as a script: the worker needs no other module of this package, and loading them costs time.
    command = [sys.executable, "-P", str(Path(__file__).with_name("pdf_worker.py")), *options]
    started = time.monotonic()
    progress = started
    timed_out = threading.Event()
    finished = threading.Event()

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as worker:

        def watch() -> None:
            while not finished.wait(0.5):
                now = time.monotonic()
                if now - progress > PAGE_SECONDS or now - started > TOTAL_SECONDS:
                    timed_out.set()
                    worker.kill()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            expected: int | None = None
            sent = characters = 0
            assert worker.stdin is not None
            assert worker.stdout is not None
            with contextlib.suppress(BrokenPipeError), worker.stdin as pipe:
                pipe.write(data)
            for line in worker.stdout:
                progress = time.monotonic()
                record: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"error": "died"}
                if "error" in record:
                    raise DoyenError(*ERRORS[record["error"]])
                if expected is None:
                    expected = record["pages"]
                    continue
                sent += 1
                characters += sum(len(word[0]) for words in record["words"].values() for word in words)
                if characters > MAX_CHARACTERS:
                    raise DoyenError(*ERRORS["size"])
                yield record
            if timed_out.is_set():
                raise DoyenError(*ERRORS["time"])
            if expected is None or sent < expected:
                raise DoyenError(*ERRORS["died"])
        finally:
            finished.set()
            worker.kill()
            watcher.join()


def build(records: list[dict[str, Any]], sha256: str, name: str) -> Document:
    """The document of page records; raises DOC-008 when there is no page or none could be read."""
    if not records or all(record.get("failed") for record in records):
        raise DoyenError(*ERRORS["damaged"])
    sheets: list[Sheet] = []
    for number, record in enumerate(records, start=1):
        lines: list[Line] = []
        # The direction that most text has is read first; a stamp along the margin comes after it.
        frames = sorted(record["words"].items(), key=lambda frame: -len(frame[1]))
        for direction, words in frames:
            found = find_lines([Word(*word) for word in words])
            lines += [line._replace(turn=int(direction)) for line in found]
        sheets.append(Sheet(number, lines))
    mark_running(sheets)
    return _assemble(to_pieces(sheets), records, sha256, name)


def _assemble(pieces: list[Piece], records: list[dict[str, Any]], sha256: str, name: str) -> Document:
    text: list[str] = []
    runs: list[Run] = []
    edits: list[Edit] = []
    starts = [0] * len(records)
    position, page = 0, 1
    for piece in pieces:
        end = position + len(piece.text)
        if piece.page != page:  # the joint that opens a page belongs to the page before it
            page = piece.page
            starts[page - 1] = end
        if piece.kind is not None:
            edits.append(Edit(kind=piece.kind, start=position, end=end, raw=piece.raw))
        if piece.word is not None:
            record = records[page - 1]
            box = to_page(piece.word, piece.turn, record["width"], record["height"])
            runs.append(Run(position, end, page, *box))
        text.append(piece.text)
        position = end
    ends = [*starts[1:], position]
    pages = [
        Page(
            number=number, width=record["width"], height=record["height"], start=start, end=end,
            needs_ocr=record["needs_ocr"],
        )
        for number, (record, start, end) in enumerate(zip(records, starts, ends, strict=True), start=1)
    ]  # fmt: skip
    full = "".join(text)
    return Document(
        sha256=sha256, name=name, media_type="application/pdf", text=full,
        pages=pages, runs=runs, sections=find_sections(full), edits=edits,
    )  # fmt: skip


def to_page(word: Word, turn: int, width: float, height: float) -> tuple[float, float, float, float]:
    """A word's box on the page as it is shown, from the frame in which its text runs left to right."""
    x0, top, x1, bottom = word.x0, word.top, word.x1, word.bottom
    if turn == 90:
        return top, height - x1, bottom, height - x0
    if turn == 180:
        return width - x1, height - bottom, width - x0, height - top
    if turn == 270:
        return width - bottom, x0, width - top, x1
    return x0, top, x1, bottom
