"""A made-up balance sheet as a page image, for tests of scans."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROWS = (
    ("Cash and cash equivalents", "1,200", "1,100"),
    ("Inventories", "800", "900"),
    ("Total assets", "2,000", "2,000"),
    ("Accounts payable", "500", "600"),
    ("Total liabilities", "500", "600"),
    ("Retained earnings", "1,500", "1,400"),
    ("Total equity", "1,500", "1,400"),
    ("Total liabilities and equity", "2,000", "2,000"),
)


def statement_image(path: Path) -> Path:
    """A page of 200 dpi with a balance sheet in thousands."""
    page = Image.new("L", (1700, 1400), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(30)
    draw.text((500, 100), "CONSOLIDATED BALANCE SHEETS", 0, font)
    draw.text((640, 150), "(in thousands of U.S. dollars)", 0, font)
    for x, year in ((1100, "2024"), (1400, "2023")):
        draw.text((x, 240), "December 31,", 0, font)
        draw.text((x + 50, 285), year, 0, font)
    for at, (label, *values) in enumerate(ROWS):
        top = 370 + 60 * at
        draw.text((150, top), label, 0, font)
        for right, value in zip((1270, 1570), values, strict=True):
            draw.text((right - draw.textlength(value, font), top), value, 0, font)
    page.save(path, dpi=(200, 200))
    return path
