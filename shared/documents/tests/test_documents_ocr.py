from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from doyen_documents import ocr
from doyen_documents.ocr import dashes, join_figures, read_image, shown_box
from doyen_documents.ocr_image import PageImage, image_rules, page_images, skew, turned
from doyen_documents.ocr_tables import tables_of_scan
from doyen_documents.tables import Table, Word
from doyen_documents.tables.grid import to_table
from doyen_documents.tables.structure import PlacedCell, _cells, fill_cells, image_cells
from doyen_schemas import DoyenError

GRID = (
    ("Million euro", "2021", "2020"),
    ("Net sales", "12,345", "11,987"),
    ("Cost of sales", "(8,210)", "(7,654)"),
    ("Impairment", "—", "321"),
    ("Gross margin", "4,135", "4,333"),
)
DPI = 150


def picture(ruled: bool = False) -> Image.Image:
    """A page piece with the grid, figures flush right."""
    image = Image.new("RGB", (1000, 420), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=26)
    for row, cells in enumerate(GRID):
        y = 60 + 60 * row
        pen.text((60, y), cells[0], "black", font)
        for right, text in ((600, cells[1]), (900, cells[2])):
            if text == "—":
                pen.rectangle((right - 24, y + 17, right, y + 19), "black")
            else:
                pen.text((right - pen.textlength(text, font), y), text, "black", font)
    if ruled:
        for y in range(45, 346, 60):
            pen.line((40, y, 940, y), "black", 2)
        for x in (40, 400, 640, 940):
            pen.line((x, 45, x, 345), "black", 2)
    return image


def grid_of(table: Table) -> list[tuple[str, ...]]:
    grid = [[""] * table.columns for _ in range(table.rows)]
    for cell in table.cells:
        grid[cell.row][cell.column] = cell.text
    return [tuple(row) for row in grid]


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("ruled", [False, True])
@pytest.mark.parametrize("angle", [0.0, 1.4])
def test_table_of_a_picture_is_read_where_it_stands(tmp_path: Path, ruled: bool, angle: float) -> None:
    image = picture(ruled).rotate(angle, fillcolor="white", resample=Image.Resampling.BICUBIC)
    image.save(tmp_path / "scan.png", dpi=(DPI, DPI))

    (result,) = tables_of_scan(tmp_path / "scan.png")

    (table,) = result.tables
    assert grid_of(table) == list(GRID)
    assert result.structure is False
    assert result.page.certainty > 0.9
    assert abs(result.page.angle - angle) < 0.25
    # 12,345 is printed with its right edge at 600 pixels and its top near 120; a turned page moves it along.
    cell = next(cell for cell in table.cells if cell.text == "12,345")
    radians = np.radians(angle)
    x, y = (555 - 500) / 1, (136 - 210) / 1
    expected = ((500 + x * np.cos(radians) + y * np.sin(radians)) * 72 / DPI, (210 - x * np.sin(radians) + y * np.cos(radians)) * 72 / DPI)  # fmt: skip
    middle = ((cell.box.x0 + cell.box.x1) / 2, (cell.box.top + cell.box.bottom) / 2)
    assert middle == pytest.approx(expected, abs=5)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_pages_fed_in_the_wrong_way_are_read_too(quarter: int) -> None:
    pixels = np.ascontiguousarray(np.rot90(array(picture()), quarter))

    page = read_image(PageImage(1, pixels, DPI))

    assert {"12,345", "(8,210)"} <= {word.text for word in page.words}
    assert round(page.angle / 90) % 4 == quarter
    word = next(word for word in page.words if word.text == "12,345")
    x0, top, x1, bottom = shown_box(page, *word[1:])
    ink = pixels[int(top * DPI / 72) : int(bottom * DPI / 72), int(x0 * DPI / 72) : int(x1 * DPI / 72)]
    assert ink.min() < 60  # the box on the page as scanned holds the word's ink


def test_pages_of_tiff_jpeg_and_pdf_are_counted_from_one(tmp_path: Path) -> None:
    image = picture()
    image.save(tmp_path / "two.tif", save_all=True, append_images=[image.resize((500, 210))])
    image.save(tmp_path / "one.jpg", dpi=(DPI, DPI))
    image.save(tmp_path / "one.pdf", resolution=DPI)

    assert [(p.number, p.pixels.shape) for p in page_images(tmp_path / "two.tif")] == [
        (1, (420, 1000, 3)),
        (2, (210, 500, 3)),
    ]
    assert [p.number for p in page_images(tmp_path / "two.tif", [2, 5])] == [2]
    (jpeg,) = page_images(tmp_path / "one.jpg")
    assert jpeg.dpi == DPI
    (page,) = page_images(tmp_path / "one.pdf")
    assert page.dpi == 200
    assert page.pixels.shape[1] == pytest.approx(1000 * 200 / DPI, abs=2)


def test_see_through_pictures_stand_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (80, 40), (0, 0, 0, 0)).save(tmp_path / "clear.png")

    (page,) = page_images(tmp_path / "clear.png")

    assert page.pixels.min() == 255


def test_unreadable_and_huge_pictures_are_doc_017(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    cut = tmp_path / "cut.png"
    picture().save(cut)
    cut.write_bytes(cut.read_bytes()[:3000])
    huge = tmp_path / "huge.png"
    Image.new("1", (9000, 9000)).save(huge)

    for path in (broken, cut, huge):
        with pytest.raises(DoyenError) as caught:
            list(page_images(path))
        assert caught.value.code == "DOC-017"


def test_long_thin_and_cut_pictures(tmp_path: Path) -> None:
    long = tmp_path / "long.png"
    Image.new("1", (40_000, 100)).save(long)
    cut = tmp_path / "cut.tif"
    picture().save(cut, save_all=True, append_images=[picture()])
    data = cut.read_bytes()
    # The second page's directory is pointed beyond the file's end.
    first = int.from_bytes(data[4:8], "little")
    follows = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    cut.write_bytes(data[:follows] + (len(data) + 99).to_bytes(4, "little") + data[follows + 4 :])
    for path in (long, cut):
        with pytest.raises(DoyenError) as caught:
            list(page_images(path))
        assert caught.value.code == "DOC-017"

    thin = tmp_path / "thin.png"
    Image.new("RGB", (2, 5_000), "white").save(thin)
    (page,) = page_images(thin)
    assert abs(skew(page.pixels)) <= 4.5
    assert image_rules(page) == []


def test_locked_and_damaged_pdfs_are_coded_errors(tmp_path: Path) -> None:
    from reportlab.lib import pdfencrypt
    from reportlab.pdfgen.canvas import Canvas

    locked = tmp_path / "locked.pdf"
    canvas = Canvas(str(locked), encrypt=pdfencrypt.StandardEncryption("secret", "owner", strength=128))
    canvas.drawString(80, 700, "text")
    canvas.save()
    damaged = tmp_path / "damaged.pdf"
    damaged.write_bytes(b"%PDF-1.4 nothing")

    for path, code in ((locked, "DOC-007"), (damaged, "DOC-008")):
        with pytest.raises(DoyenError) as caught:
            list(page_images(path))
        assert caught.value.code == code


def test_without_the_reader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    ocr._engine.cache_clear()

    with pytest.raises(DoyenError, match="rapidocr") as caught:
        read_image(PageImage(1, array(picture()), DPI))
    assert caught.value.code == "DOC-018"


@pytest.mark.parametrize("angle", [-2.5, -0.3, 0.0, 0.9, 3.2])
def test_skew_is_found_and_undone(angle: float) -> None:
    pixels = turned(array(picture()), -angle)

    assert skew(pixels) == pytest.approx(angle, abs=0.21)


def test_rules_and_dashes_of_a_picture() -> None:
    page = PageImage(1, array(picture(ruled=True)), DPI)
    rules = image_rules(page)

    assert sorted(round(r.top * DPI / 72) for r in rules if r.level) == pytest.approx(
        [45, 105, 165, 225, 285, 345], abs=3
    )
    assert sorted(round(r.x0 * DPI / 72) for r in rules if not r.level) == pytest.approx(
        [40, 400, 640, 940], abs=3
    )
    beside = Word("Impairment", 29.0, 115.0, 90.0, 130.0)
    (dash,) = dashes(page._replace(pixels=array(picture())), [beside])
    assert (dash.text, round(dash.x1 * DPI / 72)) == ("—", pytest.approx(600, abs=3))
    assert dashes(page._replace(pixels=array(picture())), []) == []


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (["1,516,", "034,", "246.28"], ["1,516,034,246.28"]),
        (["12", ",345"], ["12,345"]),
        (["(", "456", ")"], ["(456)"]),
        (["2021", "2020"], ["2021", "2020"]),
        (["June", "28,", "2025"], ["June", "28,", "2025"]),
        (["货", "币", "资", "金"], ["货币资金"]),
    ],
)
def test_figures_read_in_pieces_are_joined(parts: list[str], joined: list[str]) -> None:
    x, words = 0.0, []
    for part in parts:
        words.append(Word(part, x, 0, x + 5 * len(part), 10))
        x += 5 * len(part) + 3

    assert [word.text for word in join_figures(words)] == joined


def test_structure_tokens_become_cells_and_take_their_words() -> None:
    def box(x: float, y: float) -> list[float]:
        return [x, y, x + 0.4, y, x + 0.4, y + 0.4, x, y + 0.4]

    steps = [
        ("sos", box(0, 0)), ("<thead>", box(0, 0)), ("<tr>", box(0, 0)), ("<td", box(0, 0)),
        (' colspan="2"', box(0, 0)), (">", box(0, 0)), ("</td>", box(0, 0)), ("</tr>", box(0, 0)),
        ("<tr>", box(0, 0)), ("<td></td>", box(0, 0.5)), ("<td></td>", box(0.5, 0.5)), ("</tr>", box(0, 0)),
        ("eos", box(0, 0)), ("<tr>", box(0, 0)), ("<td></td>", box(0, 0)),
    ]  # fmt: skip

    cells = _cells(steps, 100.0)

    assert [cell[:4] for cell in cells] == [(0, 0, 1, 2), (1, 0, 1, 1), (1, 1, 1, 1)]
    assert cells[2] == PlacedCell(1, 1, 1, 1, 50.0, 50.0, 90.0, 90.0)
    words = [
        Word("Head", 5, 5, 30, 15),
        Word("a", 5, 60, 10, 70),
        Word("b", 60, 60, 65, 70),
        Word("c", 92, 62, 97, 72),
    ]
    table = to_table(fill_cells(cells, words), 1, "image")
    assert table is not None
    assert grid_of(table) == [("Head", ""), ("a", "b c")]
    assert table.cells[0].column_span == 2


def test_an_absent_structure_model_is_doc_019(tmp_path: Path) -> None:
    with pytest.raises(DoyenError) as caught:
        image_cells(array(picture()), tmp_path / "slanet-plus.onnx")
    assert caught.value.code == "DOC-019"
