"""Words of page images by RapidOCR (PP-OCRv6 within its wheel, onnxruntime, offline)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from doyen_documents.ocr_image import PageImage, image_rules, missing, page_images, skew, turned
from doyen_documents.tables.model import Word
from doyen_documents.tables.rules import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Long sides are not shrunk below this, so that print of 6 points stays readable at 200 dpi.
MAX_SIDE: Final = 3_400
# Below this mean certainty a page is read again upside down.
SURE: Final = 0.92


@dataclass(frozen=True, slots=True)
class ScannedPage:
    """A page read from its image.

    Attributes:
        number: from 1.
        width, height: in points.
        words, rules: in points, in the frame in which the print stands level.
        image: the page in that frame.
        angle: degrees with the clock by which the page was turned to stand level, quarters included.
        certainty: mean certainty of the words, 0 to 1; 0 for a page without words.
    """

    number: int
    width: float
    height: float
    words: tuple[Word, ...]
    rules: tuple[Rule, ...]
    image: PageImage
    angle: float
    certainty: float


def read_scan(path: str | os.PathLike[str], pages: Sequence[int] | None = None) -> Iterator[ScannedPage]:
    """Read the pages of an image file or PDF from their pictures; errors as ``page_images``."""
    for page in page_images(path, pages):
        yield read_image(page)


def read_image(page: PageImage) -> ScannedPage:
    """Set a page image straight and read it. Raises DOC-018."""
    engine = _engine()
    try:
        angle = skew(page.pixels)
    except ImportError as error:
        raise missing("opencv-python") from error
    pixels = turned(page.pixels, angle) if abs(angle) >= 0.1 else page.pixels
    words, certainty, upright = _read(engine, pixels, page.dpi)
    best = (certainty, 0, words, pixels)
    if words and (not upright or certainty < SURE):
        import numpy as np

        # Lines that run up or down the page, or that make no sense: other quarters are tried.
        for quarter in (1, 3) if not upright else (2,):
            other = np.ascontiguousarray(np.rot90(pixels, quarter))
            words, certainty, _ = _read(engine, other, page.dpi)
            best = max(best, (certainty + 0.02, quarter, words, other), key=lambda found: found[0])
    certainty, quarter, words, pixels = best
    image = page._replace(pixels=pixels)
    scale = 72 / page.dpi
    words += dashes(image, words)
    return ScannedPage(
        number=page.number, width=pixels.shape[1] * scale, height=pixels.shape[0] * scale,
        words=tuple(words), rules=tuple(image_rules(image)), image=image,
        angle=angle - 90 * quarter, certainty=round(min(certainty, 1.0), 4),
    )  # fmt: skip


@cache
def _engine() -> Any:
    """The reader; its models are those in the wheel, so that nothing is fetched."""
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise missing("rapidocr") from error
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "critical",
            "Global.return_word_box": True,
            "Global.max_side_len": MAX_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": int(threads) if threads.isdigit() else -1,
        }
    )


def _read(engine: Any, pixels: NDArray[np.uint8], dpi: float) -> tuple[list[Word], float, bool]:
    """Words in points, their mean certainty, and whether most lines run from left to right."""
    found = engine(pixels[:, :, ::-1])  # the reader takes BGR
    if found.txts is None or not len(found.txts):
        return [], 0.0, True
    scale = 72 / dpi
    words: list[Word] = []
    wide = 0
    for text, box, parts in zip(
        found.txts, found.boxes, found.word_results or ((),) * len(found.txts), strict=True
    ):
        x0, top, x1, bottom = _bounds(box)
        wide += len(text) < 3 or x1 - x0 > bottom - top
        words += join_figures(
            [word for part, _, quad in parts if quad is not None for word in _word(part, quad, box, scale)]
            or [Word(text, x0 * scale, top * scale, x1 * scale, bottom * scale)]
        )
    certainty = sum(found.scores) / len(found.scores)
    return words, float(certainty), 2 * wide >= len(found.txts)


def dashes(page: PageImage, words: Sequence[Word]) -> list[Word]:
    """The dashes that stand alone in a line of print, which the reader does not see; a dash is a figure's absence.

    A dash is 3.5 to 14 points of level ink with nothing near it, at the height of the middle of other words.
    """
    import cv2
    import numpy as np

    scale = 72 / page.dpi
    gray = cv2.cvtColor(page.pixels, cv2.COLOR_RGB2GRAY)
    ink = cv2.adaptiveThreshold(255 - gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 51, -40)
    covered = ink.copy()
    for word in words:
        x0, top, x1, bottom = (round(edge / scale) for edge in word[1:])
        ink[max(0, top - 2) : bottom + 2, max(0, x0 - 2) : x1 + 2] = 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink)
    found: list[Word] = []
    for x, y, width, height, _ in stats[1:]:
        if not (3.5 <= width * scale <= 14 and height * scale <= 2.9 and width >= 3 * height):
            continue
        near = round(2.5 / scale)
        around = covered[max(0, y - near) : y + height + near, max(0, x - near) : x + width + near]
        own = covered[y : y + height, x : x + width]
        if np.count_nonzero(around) > np.count_nonzero(own) + 0.02 * around.size:
            continue
        middle = (y + height / 2) * scale
        line = [
            word
            for word in words
            if word.top + 0.25 * (word.bottom - word.top)
            < middle
            < word.bottom - 0.15 * (word.bottom - word.top)
        ]
        if line:
            nearest = min(line, key=lambda word: abs(word.x0 - x * scale))
            found.append(Word("—", x * scale, nearest.top, (x + width) * scale, nearest.bottom))
    return found


def _bounds(quad: Any) -> tuple[float, float, float, float]:
    xs, ys = [float(point[0]) for point in quad], [float(point[1]) for point in quad]
    return min(xs), min(ys), max(xs), max(ys)


def _word(text: str, quad: Any, line: Any, scale: float) -> Iterator[Word]:
    """The word of a part of a line, as high as its line: single letters have boxes of their own heights."""
    text = "".join(c for c in text if c.isprintable()).strip()
    text = re.sub(r"(?<=\d);(?=\d{3}\b)", ",", text)  # a comma's tail makes it a semicolon
    if text:
        x0, _, x1, _ = _bounds(quad)
        _, top, _, bottom = _bounds(line)
        at, width = x0, (x1 - x0) / len(text)
        # Day and year are often printed so close that they are read as one figure.
        for part in re.sub(r"^(\d{1,2},)((?:19|20)\d\d)$", r"\1 \2", text).split():
            yield Word(part, at * scale, top * scale, (at + len(part) * width) * scale, bottom * scale)
            at += len(part) * width


def join_figures(words: Sequence[Word]) -> list[Word]:
    """Words of a line with the digit groups of one figure joined, as in ``1,516, 034, 246.28``."""
    joined: list[Word] = []
    for word in words:
        last = joined[-1] if joined else None
        if last is not None and _goes_on(last, word):
            joined[-1] = Word(
                last.text + word.text,
                last.x0,
                min(last.top, word.top),
                word.x1,
                max(last.bottom, word.bottom),
            )
        else:
            joined.append(word)
    return joined


def _goes_on(before: Word, after: Word) -> bool:
    gap = after.x0 - before.x1
    if gap > 0.6 * (after.bottom - after.top):
        return False
    if not before.text.isascii() or not after.text.isascii():
        # Chinese is read letter by letter: what touches is one word.
        return gap < 0.35 * (after.bottom - after.top)
    return bool(
        (re.fullmatch(r"[($-]*\d{1,3}(,\d{3})*,", before.text) and re.match(r"\d{3}\b", after.text))
        or (
            re.fullmatch(r"[($-]*\d{1,3}(,\d{3})*\.", before.text)
            and re.fullmatch(r"\d{1,2}[)%]?", after.text)
        )
        or (re.fullmatch(r"[($-]*\d[\d,]*", before.text) and re.match(r"[,.]\d", after.text))
        or (before.text == "(" and re.match(r"[$\d]", after.text))
        or (re.search(r"\d$", before.text) and re.fullmatch(r"\)?%?\)?", after.text))
    )


def shown_box(
    page: ScannedPage, x0: float, top: float, x1: float, bottom: float
) -> tuple[float, float, float, float]:
    """A box of the level frame on the page as scanned: the smallest upright box around the turned one."""
    radians = math.radians(page.angle)
    cos, sin = math.cos(radians), math.sin(radians)
    quarter = round(page.angle / 90) % 2
    width, height = (page.height, page.width) if quarter else (page.width, page.height)
    corners = []
    for x, y in ((x0, top), (x1, top), (x1, bottom), (x0, bottom)):
        dx, dy = x - page.width / 2, y - page.height / 2
        corners.append((width / 2 + dx * cos + dy * sin, height / 2 - dx * sin + dy * cos))
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)
