"""Page images: read from picture files or made of PDF pages, set straight, and their drawn lines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from doyen_documents.reader import file_bytes
from doyen_documents.tables.rules import Rule
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DPI: Final = 200
MAX_PIXELS: Final = 60_000_000
MAX_IMAGES: Final = 5_000
# OpenCV turns no image with a longer side.
MAX_SIDE: Final = 30_000
MIN_DPI: Final = 50
# A page is turned straight within this many degrees either way; pages turned further were not fed in by a scanner.
SKEW: Final = 4.0


class PageImage(NamedTuple):
    """A page as an image: number (from 1), pixels (height, width, 3; RGB, uint8) and pixels an inch."""

    number: int
    pixels: NDArray[np.uint8]
    dpi: float


def page_images(path: str | os.PathLike[str], pages: Sequence[int] | None = None) -> Iterator[PageImage]:
    """The pages of a PDF at 200 dpi, or of a PNG, JPEG or TIFF file; all or those named (from 1).

    Raises DOC-001 to DOC-005 (reading), DOC-007 and DOC-008 (PDF), DOC-017 (image unreadable or too large) and
    DOC-018 (what reads images is not installed).
    """
    path = Path(path)
    data = file_bytes(path)
    yield from (
        _pdf_images(data, pages) if b"%PDF-" in data[:1024] else _picture_images(data, path.name, pages)
    )


def image_count(path: str | os.PathLike[str]) -> int:
    """How many pages ``page_images`` gives for a file, without drawing them; raises as it."""
    data = file_bytes(Path(path))
    if b"%PDF-" in data[:1024]:
        document = _open_pdf(data)
        try:
            return len(document)
        finally:
            document.close()
    try:
        return int(getattr(_open_picture(data, Path(path).name), "n_frames", 1))
    except DoyenError:
        raise
    except Exception as error:  # Pillow raises errors of many kinds on damaged files
        raise _unreadable(Path(path).name) from error


def _open_pdf(data: bytes) -> Any:
    try:
        import pypdfium2
    except ImportError as error:
        raise missing("pypdfium2") from error
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DoyenError(
                "DOC-007", "the PDF is encrypted and needs a password.", "Save a copy without the password."
            ) from error
        raise DoyenError(
            "DOC-008", "the PDF is damaged: no page could be drawn.", "Fetch or export the file again."
        ) from error


def _pdf_images(data: bytes, pages: Sequence[int] | None) -> Iterator[PageImage]:
    document = _open_pdf(data)
    import pypdfium2

    try:
        for number in range(1, len(document) + 1) if pages is None else pages:
            if not 1 <= number <= len(document):
                continue
            try:
                page = document[number - 1]
                width, height = page.get_size()
                # A poster is drawn smaller, so that no page needs more memory than the largest picture.
                dpi = min(
                    float(DPI),
                    72 * (MAX_PIXELS / max(width * height, 1.0)) ** 0.5,
                    72 * MAX_SIDE / max(width, height, 1.0),
                )
                pixels = _rgb(page.render(scale=dpi / 72).to_pil())
            except pypdfium2.PdfiumError as error:
                raise DoyenError(
                    "DOC-008", f"page {number} of the PDF is damaged and cannot be drawn.",
                    "Export the file again, or name the other pages.",
                ) from error  # fmt: skip
            yield PageImage(number, pixels, dpi)
    finally:
        document.close()


def _open_picture(data: bytes, name: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise missing("Pillow") from error
    try:
        return Image.open(BytesIO(data), formats=("PNG", "JPEG", "TIFF"))
    except Exception as error:  # Pillow raises errors of many kinds on damaged files
        raise _unreadable(name) from error


def _picture_images(data: bytes, name: str, pages: Sequence[int] | None) -> Iterator[PageImage]:
    picture = _open_picture(data, name)
    from PIL import ImageOps, ImageSequence

    frames = iter(ImageSequence.Iterator(picture))
    for number in count(1):
        try:
            frame = next(frames)
        except StopIteration:
            return
        except Exception as error:  # a later page of a TIFF is damaged
            raise _unreadable(name) from error
        if number > MAX_IMAGES:
            return
        if pages is not None and number not in pages:
            continue
        if frame.width * frame.height > MAX_PIXELS or max(frame.size) > MAX_SIDE:
            raise DoyenError(
                "DOC-017",
                f"{name} has {frame.width} x {frame.height} pixels; at most {MAX_PIXELS // 1_000_000} million and {MAX_SIDE:,} a side are read.",
                "Scan at 200 to 300 dots an inch.",
            )
        try:
            pixels = _rgb(ImageOps.exif_transpose(frame))
        except Exception as error:
            raise _unreadable(name) from error
        given = frame.info.get("dpi", (0, 0))[0]
        # Where a file does not say, a page is taken to be as wide as A4.
        dpi = float(given) if MIN_DPI <= given <= 1200 else max(MIN_DPI, pixels.shape[1] / 8.27)
        yield PageImage(number, pixels, dpi)


def _unreadable(name: str) -> DoyenError:
    return DoyenError("DOC-017", f"{name} is no readable PNG, JPEG or TIFF image.", "Save the image again.")


def missing(package: str) -> DoyenError:
    """The error where a package of the extra ``ocr`` is not installed."""
    return DoyenError(
        "DOC-018", f"reading scans needs {package}.", "Install it: pip install 'doyen-documents[ocr]'"
    )


def _rgb(picture: Any) -> NDArray[np.uint8]:
    import numpy as np

    if picture.mode in ("RGBA", "LA", "P"):  # what is see-through is paper
        from PIL import Image

        over = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.asarray(picture.convert("RGB"))


def skew(pixels: NDArray[np.uint8]) -> float:
    """The angle, in degrees against the clock, by which the print of a page is turned (at most ``SKEW`` either way).

    Found where the rows of ink stand out most from the gaps between them (projection profile, Postl 1986).
    """
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    scale = 1000 / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    ink = (255 - small).astype(np.float32)
    ink[ink < 60] = 0
    # Turning blurs; what is not turned must not look sharper for that.
    soft = cv2.GaussianBlur(ink, (0, 0), 1.2)
    height, width = ink.shape

    def contrast(angle: float) -> float:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
        profile = cv2.warpAffine(soft, matrix, (width, height)).sum(axis=1)
        return float(np.square(np.diff(profile)).sum())

    coarse = max(np.arange(-SKEW, SKEW + 0.1, 0.5), key=contrast)
    return float(max(np.arange(coarse - 0.4, coarse + 0.41, 0.1), key=contrast))


def turned(pixels: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """An image turned by degrees with the clock about its middle, on white."""
    import cv2

    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    straight = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    )
    return straight.astype(pixels.dtype, copy=False)


def image_rules(page: PageImage) -> list[Rule]:
    """The level and upright lines of a page image, in points, found by opening with long thin elements."""
    import cv2

    gray = cv2.cvtColor(page.pixels, cv2.COLOR_RGB2GRAY)
    ink = cv2.adaptiveThreshold(255 - gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 31, -12)
    scale = 72 / page.dpi
    longest = max(2, int(page.dpi * 0.35))
    rules: list[Rule] = []
    for size, across in (((longest, 1), 0), ((1, longest), 1)):
        lines = cv2.morphologyEx(ink, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, size))
        lines = cv2.dilate(lines, cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3)))
        _, _, stats, _ = cv2.connectedComponentsWithStats(lines)
        for x, y, width, height, _ in stats[1:5_000]:
            thickness = (height, width)[across]
            if thickness > page.dpi * 0.06:
                continue
            if across:
                middle = (x + width / 2) * scale
                rules.append(Rule(middle, y * scale, middle, (y + height) * scale))
            else:
                middle = (y + height / 2) * scale
                rules.append(Rule(x * scale, middle, (x + width) * scale, middle))
    return rules
