"""The words of the PDF on stdin, page by page, as JSON lines on stdout: ``python pdf_worker.py [OPTIONS] < FILE``.

``--rules`` adds the drawn lines of each page, ``--pages 3,4`` reads only these pages (from 1; absent ones are left
out).

It runs in a process of its own, because a hostile file can make any PDF parser loop, recurse without end or fill
the memory, and only a process can be stopped from outside. The first line is ``{"pages": N}``, the number of pages
that follow; each further one is a page (see ``page_record``); a failure is one line ``{"error": NAME}`` with a name of ``doyen_documents.pdf.ERRORS``.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

MAX_PAGES: Final = 5_000
MAX_MEMORY: Final = 4 * 2**30
# A character may start a new word after a gap of this share of the font size.
WORD_GAP: Final = 0.17
# Below this many characters a page with pictures or many strokes has, in effect, no text layer.
MIN_CHARS: Final = 10
MANY_STROKES: Final = 100
# A drawn box thinner than this is a line.
THIN: Final = 3.0
MAX_RULES: Final = 20_000

Word = tuple[str, float, float, float, float]
Rule = tuple[float, float, float, float, int]


def read_records(
    data: bytes, rules: bool = False, numbers: list[int] | None = None
) -> Iterator[dict[str, Any]]:
    """The records of a PDF, in order; see the module."""
    import pdfplumber
    from pdfminer.pdfdocument import PDFEncryptionError, PDFPasswordIncorrect

    try:
        pdf = pdfplumber.open(BytesIO(data))
        pages = pdf.pages
    except Exception as error:
        causes = (error, *error.args, error.__cause__)
        locked = any(isinstance(cause, (PDFPasswordIncorrect, PDFEncryptionError)) for cause in causes)
        yield {"error": "encrypted" if locked else "damaged"}
        return
    if len(pages) > MAX_PAGES:
        yield {"error": "pages"}
        return
    if numbers is not None:
        pages = [pages[number - 1] for number in numbers if 1 <= number <= len(pages)]
    yield {"pages": len(pages)}
    for page in pages:
        try:
            record = page_record(page)
            record["number"] = page.page_number
            if rules:
                record["rules"] = page_rules(page)
            yield record
        except MemoryError:
            raise
        except Exception:
            # A broken page must not hide the others; the flag sends a person to look at it.
            yield {
                "width": 612.0, "height": 792.0, "needs_ocr": True, "failed": True, "words": {},
                "number": page.page_number, "rules": [],
            }  # fmt: skip
        finally:
            page.close()


def page_record(page: Any) -> dict[str, Any]:
    """``{"width", "height", "needs_ocr", "words": {direction: [[text, x0, top, x1, bottom], …]}}`` of a page.

    ``direction`` is the way the text runs, in degrees against the clock: 0, 90, 180 or 270. The words' boxes are in
    the frame in which their text runs from left to right (``doyen_documents.pdf.to_page`` turns them back).
    """
    from pdfplumber.utils.text import extract_words

    width, height = float(page.width), float(page.height)
    frames: dict[int, list[dict[str, Any]]] = {}
    seen: set[tuple[str, int, int]] = set()
    unreadable = 0
    for char in page.chars:
        # Bold print by printing twice gives every letter twice, a fraction of a point apart.
        spot = (char["text"], round(char["x0"]), round(char["top"]))
        if spot in seen and not char["text"].isspace():
            continue
        seen.add(spot)
        if char["text"].startswith("(cid:"):
            unreadable += 1
            char["text"] = "\ufffd"
        direction = _direction(char["matrix"])
        if direction:
            _turn(char, direction, width, height)
        frames.setdefault(direction, []).append(char)
    words: dict[str, list[Word]] = {
        str(direction): [
            (_clean(w["text"]), _point(w["x0"]), _point(w["top"]), _point(w["x1"]), _point(w["bottom"]))
            for w in extract_words(
                chars, x_tolerance_ratio=WORD_GAP, y_tolerance=_line_gap(chars), use_text_flow=False
            )
            if _clean(w["text"])
        ]
        for direction, chars in frames.items()
    }
    readable = sum(len(word[0]) for found in words.values() for word in found) - unreadable
    drawn = bool(page.images) or len(page.curves) + len(page.rects) + len(page.lines) > MANY_STROKES
    needs_ocr = (readable < MIN_CHARS and drawn) or unreadable > readable
    return {"width": width, "height": height, "needs_ocr": needs_ocr, "words": words}


def _line_gap(chars: list[dict[str, Any]]) -> float:
    """How far apart letters of one line may stand: less in small print, whose lines a raised mark would join."""
    sizes = sorted(char["size"] for char in chars)
    return min(3.0, 0.3 * float(sizes[len(sizes) // 2]))


def page_rules(page: Any) -> list[Rule]:
    """The level and upright lines of a page as ``(x0, top, x1, bottom, drawn)``, as the page is shown.

    ``drawn`` is 0 for the edge of a shaded area, which separates only by its colour. White areas are left out.
    """
    rules: list[Rule] = []

    def add(x0: float, top: float, x1: float, bottom: float, drawn: int) -> None:
        if len(rules) < MAX_RULES and max(x1 - x0, bottom - top) >= 1:
            rules.append((_point(x0), _point(top), _point(x1), _point(bottom), drawn))

    def add_box(x0: float, top: float, x1: float, bottom: float, stroke: bool) -> None:
        if bottom - top < THIN:
            add(x0, (top + bottom) / 2, x1, (top + bottom) / 2, 1)
        elif x1 - x0 < THIN:
            add((x0 + x1) / 2, top, (x0 + x1) / 2, bottom, 1)
        else:
            for y in (top, bottom):
                add(x0, y, x1, y, int(stroke))
            for x in (x0, x1):
                add(x, top, x, bottom, int(stroke))

    for rect in page.rects:
        stroke = bool(rect["stroke"]) and not _white(rect.get("stroking_color"))
        if stroke or (rect["fill"] and not _white(rect.get("non_stroking_color"))):
            add_box(rect["x0"], rect["top"], rect["x1"], rect["bottom"], stroke)
    for edge in [*page.lines, *page.curve_edges]:
        if not _white(edge.get("stroking_color")) and (
            abs(edge["x1"] - edge["x0"]) < 1 or abs(edge["bottom"] - edge["top"]) < 1
        ):
            add(edge["x0"], edge["top"], edge["x1"], edge["bottom"], 1)
    for image in page.images:  # lines drawn as stretched pictures
        if min(image["bottom"] - image["top"], image["x1"] - image["x0"]) < THIN:
            add_box(image["x0"], image["top"], image["x1"], image["bottom"], False)
    return rules


def _white(color: Any) -> bool:
    if not isinstance(color, (tuple, list)) or not all(isinstance(part, (int, float)) for part in color):
        return False
    if len(color) == 4:
        return max(color) < 0.02
    return bool(color) and min(color) > 0.98


def _direction(matrix: tuple[float, ...]) -> int:
    a, b = matrix[0], matrix[1]
    if abs(a) >= abs(b):
        return 0 if a >= 0 else 180
    return 90 if b > 0 else 270


def _turn(char: dict[str, Any], direction: int, width: float, height: float) -> None:
    x0, top, x1, bottom = char["x0"], char["top"], char["x1"], char["bottom"]
    if direction == 90:
        x0, top, x1, bottom = height - bottom, x0, height - top, x1
    elif direction == 180:
        x0, top, x1, bottom = width - x1, height - bottom, width - x0, height - top
    else:
        x0, top, x1, bottom = top, width - x1, bottom, width - x0
    char.update(x0=x0, top=top, x1=x1, bottom=bottom, doctop=top, upright=True)


def _point(value: Any) -> float:
    return round(float(value), 2)


def _clean(text: str) -> str:
    """Without control characters and lone surrogates, which no output format can hold.

    A soft hyphen that a PDF draws is a hyphen: fonts often code it so.
    """
    return "".join(c for c in text.replace("\u00ad", "-") if c.isprintable())


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the clock still stops the process.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main() -> None:
    """Write the records of the PDF on stdin to stdout."""
    options = sys.argv[1:]
    numbers = None
    if "--pages" in options:
        numbers = [int(number) for number in options[options.index("--pages") + 1].split(",") if number]
    _limit_memory()
    logging.disable(logging.CRITICAL)  # pdfminer's warnings quote the document
    try:
        for record in read_records(sys.stdin.buffer.read(), "--rules" in options, numbers):
            print(json.dumps(record, ensure_ascii=True), flush=True)
    except MemoryError:
        print(json.dumps({"error": "memory"}), flush=True)
    except RecursionError:
        print(json.dumps({"error": "damaged"}), flush=True)


if __name__ == "__main__":
    main()
