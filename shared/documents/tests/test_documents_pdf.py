from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doyen_documents import pdf, read
from doyen_documents.layout import Word
from doyen_documents.pdf import build, to_page
from doyen_schemas import Document, DoyenError

PRODUCTS = ("pumps", "valves", "pipes", "seals")


def _paragraph(number: int) -> list[str]:
    return [
        f"The Supplier shall deliver the {PRODUCTS[number - 1]} to the Buyer at the Delivery Point on the date that is",
        f"stated in the order for {PRODUCTS[number - 1]}, and the Buyer shall inspect them without delay after their re-",
        f"ceipt and give notice of each defect of the {PRODUCTS[number - 1]}.",
    ]


def _contract_pages(count: int = 4) -> list[list[tuple[float, float, str]]]:
    pages = []
    for number in range(1, count + 1):
        body = [(72.0, 700.0 - 14 * i, line) for i, line in enumerate(_paragraph(number))]
        body += [(72, 630, f"{number}. Receipt. The receipt of {PRODUCTS[number - 1]} is due.")]
        pages.append([(250, 760, "Acme Supply Agreement"), *body, (300, 30, f"- {number} -")])
    return pages


def test_paragraphs_headers_and_page_numbers(make_pdf: Any) -> None:
    document = read(make_pdf(_contract_pages()))
    for number in (1, 2, 3, 4):
        first, second, third = _paragraph(number)
        assert f"{first} {second[:-1]}{third}\n\n{number}. Receipt." in document.text
    assert "Acme Supply" not in document.text
    assert "- 2 -" not in document.text
    kinds = [edit.kind for edit in document.edits]
    assert (kinds.count("header"), kinds.count("footer"), kinds.count("hyphen")) == (4, 4, 8)
    assert [section.path for section in document.sections] == ["1", "2", "3", "4"]


def test_raw_gives_the_print_back(make_pdf: Any) -> None:
    document = read(make_pdf(_contract_pages()))
    pages = [
        [
            "Acme Supply Agreement",
            *_paragraph(n),
            "",
            f"{n}. Receipt. The receipt of {PRODUCTS[n - 1]} is due.",
            f"- {n} -",
        ]
        for n in (1, 2, 3, 4)
    ]
    expected = "\n\f".join("\n".join(lines) for lines in pages)
    assert document.raw() == expected


def test_pages_and_boxes(make_pdf: Any) -> None:
    document = read(make_pdf(_contract_pages()))
    assert [page.number for page in document.pages] == [1, 2, 3, 4]
    assert document.pages[0].start == 0
    assert document.pages[-1].end == len(document.text)
    start = document.text.index("receipt of pipes")
    assert document.page_at(start) == 3
    (box,) = document.boxes(start, start + len("receipt of pipes"))
    assert box.page == 3
    assert 792 - 630 - 11 < box.top < 792 - 630
    wrapped = document.boxes(document.text.index("date that is"), document.text.index("stated in") + 6)
    assert len(wrapped) == 2


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_rotated_pages_read_the_same(make_pdf: Any, rotate: int) -> None:
    upright = read(make_pdf(_contract_pages(1)))
    turned = read(make_pdf(_contract_pages(1), name="turned.pdf", rotate=rotate))
    assert turned.text == upright.text
    size = (turned.pages[0].width, turned.pages[0].height)
    assert size == ((612, 792) if rotate == 180 else (792, 612))
    for run in turned.runs:
        assert 0 <= run.x0 < run.x1 <= size[0]
        assert 0 <= run.top < run.bottom <= size[1]


def test_two_columns_are_read_one_after_the_other(make_pdf: Any) -> None:
    left = [f"left column line {n} has quite some words" for n in range(20)]
    right = [f"right column line {n} has quite some words" for n in range(20)]
    page = [(60, 720 - 14 * n, line) for n, line in enumerate(left)] + [
        (320, 720 - 14 * n, line) for n, line in enumerate(right)
    ]
    text = read(make_pdf([page])).text
    assert text.index("left column line 19") < text.index("right column line 0")
    assert "line 3 has quite some words left column line 4" in text


def test_a_table_keeps_its_rows(make_pdf: Any) -> None:
    rows = [("Pump", "USD 5"), ("Valve", "USD 6"), ("Pipe", "USD 7")]
    page = [item for n, (a, b) in enumerate(rows) for item in ((72, 700 - 14 * n, a), (400, 700 - 14 * n, b))]
    assert read(make_pdf([page])).text == "Pump\tUSD 5\nValve\tUSD 6\nPipe\tUSD 7"


def test_exhibit_names_at_the_top_of_pages_stay(make_pdf: Any) -> None:
    pages = [
        [(72, 740, f"Exhibit A-{n}"), (72, 700, f"Drawing {'xyz'[n]} of the pump and of its valves.")]
        for n in range(3)
    ]
    text = read(make_pdf(pages)).text
    assert all(f"Exhibit A-{n}" in text for n in range(3))


def test_image_only_pages_need_ocr(tmp_path: Path) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    picture = BytesIO()
    Image.new("RGB", (60, 60), "gray").save(picture, "PNG")
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=(612, 792))
    for _ in range(2):
        canvas.drawImage(ImageReader(picture), 0, 0, 612, 792)
        canvas.showPage()
    canvas.save()
    document = read(tmp_path / "scan.pdf")
    assert document.needs_ocr
    assert [page.needs_ocr for page in document.pages] == [True, True]
    assert document.text == ""


def test_empty_owner_password_opens(make_pdf: Any) -> None:
    assert read(make_pdf([[(72, 700, "hello")]], password="")).text == "hello"


def test_encrypted(make_pdf: Any) -> None:
    with pytest.raises(DoyenError, match="DOC-007"):
        read(make_pdf([[(72, 700, "hello")]], password="secret"))


def test_truncated(make_pdf: Any, tmp_path: Path) -> None:
    data = make_pdf(_contract_pages()).read_bytes()
    (tmp_path / "cut.pdf").write_bytes(data[: len(data) // 2])
    with pytest.raises(DoyenError, match="DOC-008"):
        read(tmp_path / "cut.pdf")


def _pdf(objects: list[bytes]) -> bytes:
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(out))
    )


HOSTILE = {
    "page tree loop": [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 9999999>>",
        b"<</Type/Pages/Kids[2 0 R]/Count 5>>",
    ],
    "no pages": [b"<</Type/Catalog>>"],
    "root is a number": [b"7"],
    "kids is itself": [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids 2 0 R/Count -1>>"],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_structures(name: str, tmp_path: Path) -> None:
    (tmp_path / "hostile.pdf").write_bytes(_pdf(HOSTILE[name]))
    with pytest.raises(DoyenError, match="DOC-008"):
        read(tmp_path / "hostile.pdf")


def test_a_form_that_draws_itself(tmp_path: Path) -> None:
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 1 1]/Resources<</XObject<</F 5 0 R>>>>/Length 11>>stream\n/F Do /F Do\nendstream"
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>>>"
    )
    (tmp_path / "self.pdf").write_bytes(
        _pdf(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                page,
                b"<</Length 5>>stream\n/F Do\nendstream",
                form,
            ]
        )
    )
    assert read(tmp_path / "self.pdf").text == ""


def test_noise_after_the_pdf_mark(tmp_path: Path) -> None:
    (tmp_path / "noise.pdf").write_bytes(b"%PDF-1.4\n" + bytes(range(256)) * 20 + b"%%EOF")
    with pytest.raises(DoyenError, match="DOC-008"):
        read(tmp_path / "noise.pdf")


def test_the_clock_stops_a_page_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    monkeypatch.setattr(pdf, "PAGE_SECONDS", 3.0)
    stream = zlib.compress(b"q Q " * 20_000_000)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>"
    (tmp_path / "slow.pdf").write_bytes(
        _pdf(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                page,
                b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
            ]
        )
    )
    with pytest.raises(DoyenError, match="DOC-012"):
        read(tmp_path / "slow.pdf")


def test_a_worker_that_dies(make_pdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_pdf([[(72, 700, "hello")]])
    monkeypatch.setattr(pdf.sys, "executable", "/bin/false")
    with pytest.raises(DoyenError, match="DOC-013"):
        read(path)


@pytest.mark.parametrize(
    ("name", "code"), [("pages", "DOC-014"), ("memory", "DOC-013"), ("encrypted", "DOC-007")]
)
def test_the_workers_errors(
    name: str, code: str, tmp_path: Path, make_pdf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pdf([[(72, 700, "hello")]])
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps({'error': name})}'\n")
    fake.chmod(0o700)
    monkeypatch.setattr(pdf.sys, "executable", str(fake))
    with pytest.raises(DoyenError, match=code):
        read(path)


def test_too_much_text(make_pdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_CHARACTERS", 10)
    with pytest.raises(DoyenError, match="DOC-014"):
        read(make_pdf([[(72, 700, "hello hello hello")]]))


def test_too_many_pages(make_pdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from doyen_documents import pdf_worker

    monkeypatch.setattr(pdf_worker, "MAX_PAGES", 1)
    data = make_pdf([[(72, 700, "a")], [(72, 700, "b")]]).read_bytes()
    assert list(pdf_worker.read_records(data)) == [{"error": "pages"}]


def test_messages_hold_no_document_text(make_pdf: Any, tmp_path: Path) -> None:
    path = make_pdf([[(72, 700, "privileged")]])
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DoyenError) as caught:
        read(path)
    assert "privileged" not in str(caught.value)


@pytest.mark.slow
def test_a_thousand_pages(make_pdf: Any) -> None:
    words = ("price", "term", "law", "fee", "notice", "loss", "good")
    pages = [
        [(72, 700, f"Clause about {words[n % 7]} and {words[n // 7 % 7]} in words.")] for n in range(1000)
    ]
    document = read(make_pdf(pages))
    assert len(document.pages) == 1000
    assert document.text.count("Clause about") == 1000


# --- properties over made-up pages --------------------------------------------------------------------------------

_word = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, categories=("L", "N", "P")), min_size=1, max_size=9
)
_line = st.tuples(st.lists(_word, min_size=1, max_size=8), st.floats(40, 300), st.floats(1, 3))
_page = st.lists(_line, max_size=9)


def _record(lines: list[tuple[list[str], float, float]]) -> dict[str, Any]:
    words, top = [], 40.0
    for texts, x, step in lines:
        for text in texts:
            words.append([text, round(x, 2), top, round(x + 6 * len(text), 2), top + 10])
            x += 6 * len(text) + 4
        top += round(12 * step, 2)
    return {"width": 900.0, "height": 792.0, "needs_ocr": False, "words": {"0": words}}


def _short(*lines: list[str]) -> list[tuple[list[str], float, float]]:
    return [(words, 40.0, 1.0) for words in lines]


@settings(deadline=None)
@given(st.lists(_page, min_size=1, max_size=6))
# The middle page is running lines alone: its break must not be told twice.
@example([_short(["0"], ["0", "0"]), _short(["0"], ["0"]), _short(["0"], ["0", "0"])])
def test_every_word_keeps_its_text_box_and_page(pages: list[list[tuple[list[str], float, float]]]) -> None:
    records = [_record(page) for page in pages]
    document = build(records, "0" * 64, "made.pdf")
    printed = [" ".join(texts) for page in pages for texts, _, _ in page]
    # Undone, the edits give the print back: the same lines in the same order.
    raw_lines = [line.strip("\f") for line in document.raw().replace("\t", " ").split("\n")]
    assert [line for line in raw_lines if line] == printed
    assert document.raw().count("\f") == len(pages) - 1
    _check_invariants(document)


def _check_invariants(document: Document) -> None:
    assert [edit.start for edit in document.edits] == sorted(edit.start for edit in document.edits)
    position = 0
    for run in document.runs:
        assert position <= run.start < run.end <= len(document.text)
        assert not any(c.isspace() for c in document.text[run.start : run.end])
        position = run.end
        page = document.pages[run.page - 1]
        assert page.start <= run.start < run.end <= page.end
        (box,) = document.boxes(run.start, run.end)
        assert (box.page, box.x0, box.x1) == (run.page, run.x0, run.x1)
    # Outside the runs there is white space alone.
    gaps = [0, *(offset for run in document.runs for offset in (run.start, run.end)), len(document.text)]
    assert all(not document.text[a:b].strip() for a, b in zip(gaps[::2], gaps[1::2], strict=True))
    assert [page.end for page in document.pages[:-1]] == [page.start for page in document.pages[1:]]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_boxes_turn_back(turn: int) -> None:
    from doyen_documents.pdf_worker import _turn

    char = {"x0": 10.0, "top": 20.0, "x1": 30.0, "bottom": 70.0}
    if turn:
        _turn(char, turn, 612, 792)
    assert to_page(Word("x", char["x0"], char["top"], char["x1"], char["bottom"]), turn, 612, 792) == (
        10,
        20,
        30,
        70,
    )
