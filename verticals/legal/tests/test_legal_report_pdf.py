from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pypdf
import pytest
from legal_report_fixtures import finding, plain, report_of, saas_report, sample
from pypdf.generic import RectangleObject

from doyen_documents import read
from doyen_legal.report.as_pdf import COLOURS, as_pdf
from doyen_legal.report.write import NotApplicable


def highlights(content: bytes) -> list[tuple[int, Any]]:
    """(page index, annotation) of every highlight."""
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    return [
        (index, a.get_object())
        for index, page in enumerate(pages)
        for a in page.get("/Annots", [])
        if a.get_object()["/Subtype"] == "/Highlight"
    ]


def words_under(content: bytes, index: int, annotation: Any) -> str:
    """The text that pdfium finds under the highlight's quads."""
    import pypdfium2

    page = pypdfium2.PdfDocument(content)[index]
    text = page.get_textpage()
    quads = [float(number) for number in annotation["/QuadPoints"]]
    found = []
    for start in range(0, len(quads), 8):
        xs, ys = quads[start : start + 8 : 2], quads[start + 1 : start + 8 : 2]
        found.append(text.get_text_bounded(min(xs) - 1, min(ys) - 1, max(xs) + 1, max(ys) + 1))
    return " ".join(" ".join(found).split())


def test_highlights_lie_on_the_quotes() -> None:
    path, document = sample("saas-agreement.pdf")
    report = saas_report(document)
    content = as_pdf(report, document, path)
    marks = highlights(content)
    by_name = {annotation["/NM"].rsplit("-", 1)[0]: (index, annotation) for index, annotation in marks}
    for found in report.findings:
        if found.evidence:
            index, annotation = by_name[found.id]
            assert index + 1 == found.evidence[0].page
            assert " ".join(found.evidence[0].quote.split()) in words_under(content, index, annotation)
    assert "missing-1" not in by_name
    rejected = by_name["rule-1"][1]
    assert rejected["/Contents"].startswith("Termination For Convenience (rule): reject\nOnly the provider")
    assert "Preferred: Either Party" in rejected["/Contents"]
    red = tuple(round(float(part) * 255) for part in rejected["/C"])
    assert "".join(f"{part:02x}" for part in red) == COLOURS["reject"]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("box", [None, (30, 40, 612, 792)])
def test_rotated_pages_and_moved_boxes(
    tmp_path: Path, turn: int, box: tuple[float, float, float, float] | None
) -> None:
    writer = pypdf.PdfWriter()
    writer.append(sample("saas-agreement.pdf")[0], pages=(0, 1))
    page = writer.pages[0]
    page.rotate(turn)
    if box:
        page.mediabox = RectangleObject(box)
        page.cropbox = RectangleObject((50, 60, 600, 780))
    path = tmp_path / "turned.pdf"
    writer.write(path)
    document = read(path, cache=False)
    quote = "Brightquay" if turn else "Brightquay Software, Inc."
    found = finding(document, quote, status="risk")
    ((index, annotation),) = highlights(as_pdf(report_of(document, [found]), document, path))
    content = path.read_bytes()
    assert index == 0
    assert quote in words_under(content, 0, annotation)
    assert len(words_under(content, 0, annotation)) < 3 * len(quote)


def test_not_a_pdf_is_a_note_not_an_error(tmp_path: Path) -> None:
    document = plain("text")
    with pytest.raises(NotApplicable, match="LEG-043"):
        as_pdf(report_of(document, []), document, None)
    path, document = sample("saas-agreement.pdf")
    with pytest.raises(NotApplicable, match="LEG-044"):
        as_pdf(report_of(document, []), document, path)
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(NotApplicable, match="LEG-043"):
        as_pdf(saas_report(document), document, broken)
