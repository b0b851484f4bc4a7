"""What a scanner does to a page: a slight turn, uneven light, blur, grain, specks, JPEG. For the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_TURN: Final = 1.0
GRAIN: Final = 9.0
SPECKS: Final = 2e-5
QUALITY: Final = (45, 75)


def degrade(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """A page image (height, width, 3; RGB) as from a worn scanner: up to 1 degree turned, JPEG quality 45 to 75."""
    import cv2
    import numpy as np

    from doyen_documents.ocr_image import turned

    rng = np.random.default_rng(seed)
    sheet = turned(pixels, float(rng.uniform(-MOST_TURN, MOST_TURN)))
    height, width = sheet.shape[:2]
    page = cv2.GaussianBlur(sheet, (0, 0), float(rng.uniform(0.4, 0.8))).astype(np.float32)
    light = np.linspace(1.0, rng.uniform(0.85, 0.97), width, dtype=np.float32)
    page = page * light[None, :, None] - rng.uniform(0, 12)
    page += rng.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    specks = rng.integers(0, [height, width], (int(SPECKS * height * width), 2))
    for y, x in specks:
        page[y : y + 2, x : x + 2] = rng.uniform(0, 120)
    coded = cv2.imencode(
        ".jpg",
        np.clip(page, 0, 255).astype(np.uint8),
        [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))],
    )[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
