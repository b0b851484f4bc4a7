from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_documents.tables import (
    Rule,
    Table,
    Word,
    page_words,
    read_pages,
    tables_of_page,
    tables_of_pdf,
    tables_of_words,
)
from doyen_schemas import DoyenError

PdfMaker = Callable[..., Path]
PROSE = (
    "The committee met in spring and reviewed the figures that the member states had sent before the",
    "end of the year, and it found that most of them were in line with what had been agreed upon then.",
    "It asked the secretariat to prepare a note on the remaining cases and to report back in autumn so",
    "that the council could take a decision before the budget of the following year would be adopted.",
)


def rows_of(table: Table) -> list[list[str]]:
    """The table as a grid of texts; a spanning cell's text stands in its first place."""
    grid = [[""] * table.columns for _ in range(table.rows)]
    for cell in table.cells:
        grid[cell.row][cell.column] = cell.text
    return grid


def line(y: float, *cells: tuple[float, str], size: float = 10, right: bool = False) -> list[Word]:
    """Words at y, letters half and spaces a quarter of the size wide; each cell from x, or (``right``) ending at x."""
    words = []
    for x, text in cells:
        parts = text.split()
        width = sum(len(part) for part in parts) * size / 2 + (len(parts) - 1) * size / 4
        at = x - width if right and x > 200 else x
        for part in parts:
            words.append(Word(part, at, y, at + len(part) * size / 2, y + size))
            at += len(part) * size / 2 + size / 4
    return words


def draw(path: Path, paint: Callable[[object], None], size: tuple[float, float] = (612, 792)) -> Path:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=size)
    canvas.setFont("Helvetica", 10)
    paint(canvas)
    canvas.save()
    return path


def test_ruled_table_keeps_merged_cells_and_cells_of_several_lines(tmp_path: Path) -> None:
    def paint(canvas: object) -> None:
        for y in (700, 680, 640, 600):
            canvas.line(72, y, 432, y)  # type: ignore[attr-defined]
        for x in (72, 192, 312, 432):
            canvas.line(x, 600, x, 680 if x == 312 else 700)  # type: ignore[attr-defined]
        for x, y, text in (
            (76, 686, "Item"), (250, 686, "Amounts"), (76, 666, "Grants and"), (76, 652, "subsidies paid"),
            (196, 660, "12"), (316, 660, "14"), (76, 620, "Loans"), (196, 620, "3"), (316, 620, "5"),
        ):  # fmt: skip
            canvas.drawString(x, y, text)  # type: ignore[attr-defined]

    (table,) = tables_of_pdf(draw(tmp_path / "ruled.pdf", paint))

    assert table.method == "lines"
    assert rows_of(table) == [
        ["Item", "Amounts", ""],
        ["Grants and subsidies paid", "12", "14"],
        ["Loans", "3", "5"],
    ]
    amounts = next(cell for cell in table.cells if cell.text == "Amounts")
    assert (amounts.column, amounts.column_span) == (1, 2)
    grants = next(cell for cell in table.cells if cell.text.startswith("Grants"))
    assert grants.box.page == 1
    assert 70 < grants.box.x0 < grants.box.x1 < 192
    assert 110 < grants.box.top < grants.box.bottom < 152


def test_open_outer_columns_of_a_ruled_table_are_closed(tmp_path: Path) -> None:
    def paint(canvas: object) -> None:
        for y in (700, 680, 660, 640):
            canvas.line(72, y, 432, y)  # type: ignore[attr-defined]
        for x in (192, 312):
            canvas.line(x, 640, x, 700)  # type: ignore[attr-defined]
        for row, y in enumerate((686, 666, 646)):
            for column, x in enumerate((80, 200, 320)):
                canvas.drawString(x, y, f"r{row} c{column}")  # type: ignore[attr-defined]

    (table,) = tables_of_pdf(draw(tmp_path / "open.pdf", paint))

    assert (table.rows, table.columns) == (3, 3)


def test_statement_without_rules_gives_signs_to_their_figures_and_a_banner_over_its_years() -> None:
    words = [
        *line(100, (310, "Year ended")),
        *line(114, (300, "2024"), (400, "2023"), right=True),
        *line(130, (50, "Net sales"), (250, "$"), (300, "1,234"), (340, "$"), (400, "987"), right=True),
        *line(144, (50, "Cost of sales, including"), right=True),
        *line(156, (50, "depreciation"), (300, "(456"), (305, ")"), (400, "(321"), (405, ")"), right=True),
        *line(170, (50, "Gross margin"), (300, "778"), (400, "666"), right=True),
        *line(184, (50, "Of which abroad"), (300, "—"), (400, "12"), right=True),
    ]

    (table,) = tables_of_words(words, 3, 612, 792, (Rule(260, 112, 400, 112),))

    assert table.method == "words"
    assert rows_of(table) == [
        ["", "Year ended", ""],
        ["", "2024", "2023"],
        ["Net sales", "$ 1,234", "$ 987"],
        ["Cost of sales, including depreciation", "(456 )", "(321 )"],
        ["Gross margin", "778", "666"],
        ["Of which abroad", "—", "12"],
    ]
    assert next(cell for cell in table.cells if cell.text == "Year ended").column_span == 2
    assert {cell.box.page for cell in table.cells} == {3}


def test_two_tables_with_a_caption_between_them_stay_two() -> None:
    def table(y: float, name: str) -> list[Word]:
        return [
            *line(y, (50, f"Table {name}. Households by kind")),
            *line(y + 20, (50, "Kind"), (300, "2001"), (400, "2002"), right=True),
            *line(y + 34, (50, "One person"), (300, "10"), (400, "12"), right=True),
            *line(y + 48, (50, "Couples"), (300, "20"), (400, "22"), right=True),
        ]

    found = tables_of_words([*table(100, "1"), *table(164, "2")], 1, 612, 792)

    assert [(t.rows, t.columns) for t in found] == [(3, 3), (3, 3)]
    assert all("Table" not in cell.text for t in found for cell in t.cells)


def test_running_text_lists_and_two_columns_of_print_are_no_tables() -> None:
    prose = [word for i, text in enumerate(PROSE * 3) for word in line(60 + 12 * i, (50, text))]
    bullets = [
        word for i in range(4) for word in line(300 + 14 * i, (60, "•"), (80, "first point of the list"))
    ]
    halves = [
        word
        for i, text in enumerate(PROSE * 3)
        for word in (*line(400 + 12 * i, (40, text[:44])), *line(404 + 12 * i, (300, text[44:88])))
    ]

    assert tables_of_words([*prose, *bullets, *halves], 1, 612, 792) == []


def test_table_between_paragraphs_is_taken_without_them() -> None:
    before = [word for i, text in enumerate(PROSE) for word in line(60 + 12 * i, (50, text))]
    after = [word for i, text in enumerate(PROSE) for word in line(200 + 12 * i, (50, text))]
    body = [
        *line(120, (50, "Region"), (300, "Area"), (400, "Share"), right=True),
        *line(134, (50, "North"), (300, "1,200"), (400, "12.5"), right=True),
        *line(148, (50, "South"), (300, "9"), (400, "87.5"), right=True),
        *line(162, (50, "Total"), (300, "1,209"), (400, "100.0"), right=True),
    ]

    (table,) = tables_of_words([*before, *body, *after], 1, 612, 792)

    assert rows_of(table)[0] == ["Region", "Area", "Share"]
    assert table.rows == 4


def test_tight_columns_are_told_apart_but_spaces_within_figures_are_not() -> None:
    rows = (
        ("Alpha", "1 234", "12.01.2010"),
        ("Beta group", "567", "13.02.2011"),
        ("Gamma", "12 345", "14.03.2012"),
    )
    words = [
        word
        for i, row in enumerate(rows)
        for word in line(100 + 14 * i, (50, row[0]), (280, row[1]), right=True)
    ]
    words += [word for i, row in enumerate(rows) for word in line(100 + 14 * i, (284, row[2]))]

    (table,) = tables_of_words(words, 1, 612, 792)

    assert rows_of(table) == [list(row) for row in rows]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turned_pages_give_the_same_table_with_boxes_on_the_page_as_shown(
    tmp_path: Path, make_pdf: PdfMaker, turn: int
) -> None:
    cells = [(80, 500, "Region"), (250, 500, "2010"), (350, 500, "2011")]
    for i, (name, a, b) in enumerate((("North", "12", "14"), ("South", "20", "22"), ("Total", "32", "36"))):
        cells += [(80, 486 - 14 * i, name), (250, 486 - 14 * i, a), (350, 486 - 14 * i, b)]

    (table,) = tables_of_pdf(make_pdf([cells], rotate=turn))

    assert rows_of(table)[1] == ["North", "12", "14"]
    (content,) = read_pages(tmp_path / "made.pdf")
    for cell in table.cells:
        assert 0 <= cell.box.x0 < cell.box.x1 <= content.width
        assert 0 <= cell.box.top < cell.box.bottom <= content.height
    assert len(tables_of_page(content)) == 1


def test_pages_are_chosen_by_number_and_absent_ones_are_an_error(make_pdf: PdfMaker) -> None:
    grid = [
        (x, 600 - 14 * y, text)
        for y, row in enumerate((("a", "1", "2"), ("b", "3", "4"), ("c", "5", "6")))
        for x, text in zip((80, 250, 350), row, strict=True)
    ]
    path = make_pdf([[(80, 700, "nothing")], grid])

    assert [table.box.page for table in tables_of_pdf(path)] == [2]
    assert tables_of_pdf(path, [1]) == []
    assert [content.number for content in read_pages(path, [2, 9])] == [2]
    with pytest.raises(DoyenError, match="none of the pages 7") as caught:
        tables_of_pdf(path, [7])
    assert caught.value.code == "DOC-016"


def test_locked_damaged_and_other_files_are_coded_errors(make_pdf: PdfMaker, tmp_path: Path) -> None:
    other = tmp_path / "other.pdf"
    other.write_text("no PDF at all")
    cut = tmp_path / "cut.pdf"
    cut.write_bytes(make_pdf([[(80, 700, "text")]]).read_bytes()[:300])

    for path, code in (
        (make_pdf([[(80, 700, "text")]], name="locked.pdf", password="secret"), "DOC-007"),
        (cut, "DOC-008"),
        (other, "DOC-006"),
        (tmp_path / "absent.pdf", "DOC-001"),
    ):
        with pytest.raises(DoyenError) as caught:
            tables_of_pdf(path)
        assert caught.value.code == code


def test_page_words_are_those_of_the_finder(make_pdf: PdfMaker) -> None:
    import pdfplumber

    with pdfplumber.open(make_pdf([[(80, 700, "Net sales 1,234")]])) as pdf:
        words = page_words(pdf.pages[0])

    assert [word.text for word in words] == ["Net", "sales", "1,234"]
    assert all(0 < word.x0 < word.x1 < 612 and 0 < word.top < word.bottom < 792 for word in words)


def check_table(table: Table, words: Sequence[Word]) -> None:
    """The grid has no overlapping cells, no cell outside it, and no word twice."""
    covered = [
        (r, c)
        for cell in table.cells
        for r in range(cell.row, cell.row + cell.row_span)
        for c in range(cell.column, cell.column + cell.column_span)
    ]
    assert len(covered) == len(set(covered))
    assert all(0 <= r < table.rows and 0 <= c < table.columns for r, c in covered)
    assert 0 <= table.score <= 1
    printed = "".join(sorted("".join(word.text for word in words)))
    held = "".join(sorted("".join(cell.text for cell in table.cells).replace(" ", "")))
    for letter in set(held):
        assert held.count(letter) <= printed.count(letter)


words_strategy = st.lists(
    st.builds(
        lambda text, x, y, width, height: Word(text, x, y, x + width, y + height),
        st.sampled_from(
            ["Total", "12", "(3)", "$", "—", "1,234", "of", "ended", "2009", "a", "......", "31%$"]
        ),
        st.integers(-20, 600).map(float),
        st.integers(0, 60).map(lambda y: 12.0 * y + y % 3),
        st.integers(1, 90).map(float),
        st.sampled_from([6.0, 9.0, 10.0, 14.0]),
    ),
    max_size=60,
)
rules_strategy = st.lists(
    st.builds(
        lambda level, a, b, c, drawn: Rule(a, c, a + b, c, drawn) if level else Rule(c, a, c, a + b, drawn),
        st.booleans(),
        st.integers(0, 500).map(float),
        st.integers(1, 400).map(float),
        st.integers(0, 700).map(float),
        st.integers(0, 1),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(words_strategy, rules_strategy)
def test_cells_never_overlap_and_no_word_is_in_two(words: list[Word], rules: list[Rule]) -> None:
    for table in tables_of_words(words, 1, 612, 792, rules):
        check_table(table, words)
        assert table.rows >= 2
        assert table.columns >= 2


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_made_grids_are_read_back(data: st.DataObject) -> None:
    columns = data.draw(st.integers(2, 6))
    rows = data.draw(st.integers(3, 12))
    size = data.draw(st.sampled_from([7, 9, 11]))
    texts = [
        ["row " + "abcdefghijkl"[r], *(str(data.draw(st.integers(1, 99_999))) for _ in range(columns - 1))]
        for r in range(rows)
    ]
    words = [
        word
        for r, row in enumerate(texts)
        for word in line(
            50 + 1.5 * size * r, *((50.0 if c == 0 else 220 + 70.0 * c, text) for c, text in enumerate(row)),
            size=size, right=True,
        )
    ]  # fmt: skip

    (table,) = tables_of_words(words, 1, 612, 792)

    assert rows_of(table) == texts


def test_a_page_full_of_words_and_rules_is_read_in_seconds() -> None:
    import time

    words = [
        Word(str(i), 5.0 * (i % 120), 1.0 * (i // 120), 5.0 * (i % 120) + 4, i // 120 + 0.9)
        for i in range(30_000)
    ]
    rules = [Rule(0, 0.5 * i, 600, 0.5 * i) for i in range(700)] + [Rule(i, 0, i, 700) for i in range(600)]
    started = time.monotonic()

    tables_of_words(words, 1, 612, 792, rules)

    assert time.monotonic() - started < 60


def test_a_page_of_drawings_is_read_in_seconds() -> None:
    words = line(100, (50, "Sales"), (200, "1,234"), (300, "1,100"))
    dashes = [Rule(i * 7 % 600, i * 3.3 % 780, i * 7 % 600 + 2, i * 3.3 % 780) for i in range(10_000)]
    strokes = [Rule(i * 5.1 % 600, i * 11 % 780, i * 5.1 % 600, i * 11 % 780 + 2) for i in range(10_000)]
    mesh = [Rule(0, 4.0 * i, 612, 4.0 * i) for i in range(195)]
    mesh += [Rule(4.0 * i, 0, 4.0 * i, 792) for i in range(150)]
    for rules in (dashes + strokes, mesh):
        started = time.process_time()
        tables_of_words(words, 1, 612, 792, rules)
        assert time.process_time() - started < 5
