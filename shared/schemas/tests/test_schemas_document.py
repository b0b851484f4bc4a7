"""Offsets, pages, boxes and the way back to the raw text."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from doyen_schemas import Document, Edit, Page, Run

TEXT = "Term. Five years from the Effective Date.\n\nLaw. Ohio."


def make(**fields: object) -> Document:
    return Document.model_validate(
        {"sha256": "0" * 64, "name": "a.pdf", "media_type": "application/pdf", "text": TEXT, **fields}
    )


def test_quotes_are_code_points_and_stay_inside_the_text() -> None:
    document = make(text="§ 1 – “Law”")
    assert document.quote(0, 3) == "§ 1"
    assert document.quote(11, 11) == ""
    for start, end in ((-1, 2), (3, 2), (0, 12)):
        with pytest.raises(ValueError, match="not inside a text of 11 characters"):
            document.quote(start, end)


def test_a_page_begins_where_it_says() -> None:
    pages = [
        Page(number=1, width=612, height=792, start=0, end=41),
        Page(number=2, width=612, height=792, start=43, end=53),
    ]
    document = make(pages=pages)
    assert [document.page_at(offset) for offset in (0, 41, 42, 43, 53)] == [1, 1, 1, 2, 2]
    assert make().page_at(0) is None


@pytest.mark.parametrize(("scanned", "needed"), [([], False), ([True], True), ([True, False], False)])
def test_ocr_is_needed_where_most_pages_are_pictures(scanned: list[bool], needed: bool) -> None:
    pages = [
        Page(number=n, width=1, height=1, start=0, end=0, needs_ocr=state)
        for n, state in enumerate(scanned, 1)
    ]
    assert make(pages=pages).needs_ocr is needed


def test_one_box_for_each_line_of_print() -> None:
    runs = [
        Run(0, 5, 1, 72, 100, 99, 112),  # Term.
        Run(6, 10, 1, 103, 101, 120, 112),  # Five, a point lower: the same line
        Run(11, 16, 1, 72, 114, 100, 126),  # years, on the next line
        Run(17, 21, 2, 104, 114, 120, 126),  # from, at that height of the next page
    ]
    boxes = make(runs=runs).boxes(0, 21)
    assert [(box.page, box.x0, box.top, box.x1, box.bottom) for box in boxes] == [
        (1, 72, 100, 120, 112), (1, 72, 114, 100, 126), (2, 104, 114, 120, 126),
    ]  # fmt: skip
    assert [box.x0 for box in make(runs=runs).boxes(8, 12)] == [103, 72], "runs that are cut count whole"
    assert make(runs=runs).boxes(5, 6) == []


def test_edits_lead_back_to_the_raw_text() -> None:
    edits = [
        Edit(kind="wrap", start=16, end=17, raw="\n"),
        Edit(kind="footer", start=41, end=43, raw="\n- 1 -\n\n"),
    ]
    assert make(edits=edits).raw() == "Term. Five years\nfrom the Effective Date.\n- 1 -\n\nLaw. Ohio."


def test_a_document_survives_json() -> None:
    document = make(
        runs=[Run(0, 5, 1, 72, 100, 99, 112)], edits=[Edit(kind="wrap", start=4, end=5, raw="\n")]
    )
    assert Document.model_validate_json(document.model_dump_json()) == document
    with pytest.raises(ValidationError, match="Extra inputs"):
        make(author="x")
