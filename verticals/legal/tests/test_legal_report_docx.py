from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml.ns import qn
from legal_report_fixtures import finding, nda_report, plain, report_of, saas_report, sample

from doyen_legal.report.as_docx import AUTHOR, DOCX, as_docx
from doyen_legal.report.places import Locator, paragraph_text, runs_of
from doyen_legal.report.write import NotApplicable
from doyen_schemas import Document, Evidence


def body(content: bytes) -> Any:
    return docx.Document(io.BytesIO(content)).element.body


def accepted(element: Any) -> str:
    """The text once every change is accepted."""
    return "".join(
        t.text or "" for t in element.iter(qn("w:t")) if not any(p.tag == qn("w:del") for p in t.iterancestors())
    )  # fmt: skip


def rejected(element: Any) -> str:
    """The text once every change is rejected: the source."""
    tags = (qn("w:t"), qn("w:delText"))
    return "".join(
        t.text or "" for t in element.iter(*tags) if not any(p.tag == qn("w:ins") for p in t.iterancestors())
    )  # fmt: skip


@pytest.fixture(scope="module")
def nda() -> tuple[Path, Document, bytes]:
    path, document = sample("mutual-nda.docx")
    return path, document, as_docx(nda_report(document), document, path)


def test_rejecting_every_change_gives_the_source_back(nda: tuple[Path, Document, bytes]) -> None:
    assert rejected(body(nda[2])) == rejected(docx.Document(str(nda[0])).element.body)


def test_accepting_puts_the_preferred_text_in(nda: tuple[Path, Document, bytes]) -> None:
    text = accepted(body(nda[2]))
    assert "Each Party shall indemnify, defend and hold harmless the other Party" in text
    assert "up to one hundred thousand dollars ($100,000)." in text
    assert "without limitation as to amount" not in text
    assert "for a period of five (5) years [Proposed: for a period of three (3) years]" in text
    assert "The Parties are independent contractors.IN WITNESS WHEREOF" in text  # before the signatures
    assert "is public other than by breach of this Agreement;" in text


def test_unchanged_words_stay_untouched(nda: tuple[Path, Document, bytes]) -> None:
    paragraph = next(p for p in body(nda[2]).iter(qn("w:p")) if "one hundred thousand" in accepted(p))
    deleted = "".join(t.text or "" for t in paragraph.iter(qn("w:delText")))
    assert "shall indemnify" not in deleted
    assert "Northmere" in deleted


def test_changes_have_ids_author_and_date(nda: tuple[Path, Document, bytes]) -> None:
    changes = list(body(nda[2]).iter(qn("w:ins"), qn("w:del")))
    ids = [change.get(qn("w:id")) for change in changes]
    assert len(changes) > 5
    assert len(set(ids)) == len(ids)
    assert {change.get(qn("w:author")) for change in changes} == {AUTHOR}
    assert {change.get(qn("w:date")) for change in changes} == {"2026-11-22T09:30:00Z"}
    for change in body(nda[2]).iter(qn("w:del")):
        assert not list(change.iter(qn("w:t")))  # Word takes w:t inside w:del for damage


def test_deleted_paragraphs_lose_their_mark(nda: tuple[Path, Document, bytes]) -> None:
    marks = [
        p
        for p in body(nda[2]).iter(qn("w:p"))
        if p.find(f"{qn('w:pPr')}/{qn('w:rPr')}/{qn('w:del')}") is not None
    ]
    assert ["".join(t.text or "" for t in p.iter(qn("w:delText")))[:20] for p in marks] == [
        "is or becomes genera", "was lawfully in the ",
    ]  # fmt: skip


def test_comments_stand_on_their_quotes(nda: tuple[Path, Document, bytes]) -> None:
    document = docx.Document(io.BytesIO(nda[2]))
    comments = list(document.comments)
    report = nda_report(nda[1])
    shown = [f for f in report.findings if f.kind != "entity"]
    assert len(comments) == len(shown)
    assert len({comment.comment_id for comment in comments}) == len(comments)
    assert {comment.author for comment in comments} == {AUTHOR}
    by_text = {comment.text: comment.comment_id for comment in comments}
    fault = next(number for text, number in by_text.items() if text.startswith("dangling-section"))
    assert quoted(document.element.body, fault) == "Section 14.6"
    assert any("A one-sided, uncapped indemnity." in text for text in by_text)


def quoted(element: Any, number: int) -> str:
    """The text between the marks of a comment."""
    inside, text = False, ""
    for node in element.iter():
        if node.tag == qn("w:commentRangeStart") and node.get(qn("w:id")) == str(number):
            inside = True
        elif node.tag == qn("w:commentRangeEnd") and node.get(qn("w:id")) == str(number):
            return text
        elif inside and node.tag in (qn("w:t"), qn("w:delText")):
            text += node.text or ""
    raise AssertionError(f"comment {number} has no range")


def test_source_file_is_not_touched(nda: tuple[Path, Document, bytes]) -> None:
    before = nda[0].read_bytes()
    as_docx(nda_report(nda[1]), nda[1], nda[0])
    assert nda[0].read_bytes() == before
    with zipfile.ZipFile(io.BytesIO(nda[2])) as package:
        assert package.testzip() is None
        assert "word/comments.xml" in package.namelist()


def test_other_sources_are_set_from_their_text() -> None:
    path, document = sample("saas-agreement.pdf")
    content = as_docx(saas_report(document), document, path)
    text = accepted(body(content))
    assert "ninety (90) days’ written notice" in text
    heading = next(p for p in docx.Document(io.BytesIO(content)).paragraphs if p.text.startswith("8. Data"))
    assert heading.runs[0].bold


def test_existing_changes_and_hyperlinks_are_kept(tmp_path: Path) -> None:
    source = docx.Document()
    paragraph = source.add_paragraph("Start ")
    xml = (
        '<w:{0} xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:id="77" w:author="A" '
        'w:date="2024-01-01T00:00:00Z"><w:r><w:{1}>{2}</w:{1}></w:r></w:{0}>'
    )
    for arguments in (("del", "delText", "old words"), ("ins", "t", "inserted words")):
        paragraph._p.append(docx.oxml.parse_xml(xml.format(*arguments)))
    paragraph.add_run(" end of the clause.")
    path = tmp_path / "a.docx"
    source.save(str(path))
    document = plain("Start inserted words end of the clause.").model_copy(update={"media_type": DOCX})
    report = report_of(
        document,
        [finding(document, "words end of", status="risk", kind="rule", details={"preferred": "NEW"})],
    )
    result = body(as_docx(report, document, path))
    assert accepted(result) == "Start inserted words end of [Proposed: NEW] the clause."
    ids = [change.get(qn("w:id")) for change in result.iter(qn("w:ins"))]
    assert ids[0] == "77"
    assert "78" in ids


def test_overlapping_proposals_keep_the_gravest() -> None:
    document = plain("The Supplier may terminate at will. The Buyer may not.")
    findings = [
        finding(document, "may terminate at will", id="a", status="risk", kind="rule", details={"preferred": "RISK"}),
        finding(document, "The Supplier may terminate at will.", id="b", status="reject", kind="rule", details={"preferred": "Neither Party may terminate at will."}),
        finding(document, "The Buyer may not.", id="c", status="reject", kind="rule", details={"preferred": "The Buyer may."}),
    ]  # fmt: skip
    text = accepted(body(as_docx(report_of(document, findings), document, None)))
    assert text == "Neither Party may terminate at will. The Buyer may."


def test_hostile_text_is_kept_as_text() -> None:
    document = plain("A\x00B <w:ins> & \u202eRTL\u202c 😀 \x0b end")
    content = as_docx(
        report_of(document, [finding(document, "<w:ins>", status="risk", message="\x01&<b>")]), document, None
    )
    assert "A�B <w:ins> & \u202eRTL\u202c 😀 � end" in accepted(body(content))


def test_unreadable_source_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "broken.docx"
    path.write_bytes(b"PK\x03\x04 not a package")
    document = plain("text").model_copy(update={"media_type": DOCX})
    with pytest.raises(NotApplicable, match="LEG-045"):
        as_docx(report_of(document, []), document, path)


def test_quotes_are_found_despite_computed_numbers_and_white_space() -> None:
    word = docx.Document()
    for text in ("Definitions", "Term  means\tthis.", "Term means that.", ""):
        word.add_paragraph(text)
    text = "1. Definitions\n\n1.1 Term means this.\n\n1.2 Term means that.\n"
    locator = Locator(word.element.body, text)
    start = text.index("Term means that")
    (place,) = locator.find(start, start + 10)
    assert paragraph_text(place.paragraph) == "Term means that."
    assert place.exact
    assert [place.start, place.end] == [0, 10]
    both = locator.find(text.index("1.1"), text.index("that.") + 5)
    assert [paragraph_text(place.paragraph)[place.start : place.end] for place in both] == [
        "Term  means\tthis.",
        "Term means that.",
    ]
    assert locator.find(0, 0) == []


def test_runs_are_split_at_the_borders() -> None:
    paragraph = docx.Document().add_paragraph()
    run = paragraph.add_run("one two\tthree")
    run.bold = True
    runs = runs_of(paragraph._p, 4, 8)
    assert paragraph_text(paragraph._p) == "one two\tthree"
    assert "".join(t.text or "" for r in runs for t in r.iter(qn("w:t"))) == "two"
    assert all(r.find(qn("w:rPr")) is not None for r in runs)


def test_evidence_in_a_table_is_found() -> None:
    path, document = sample("supply-agreement.docx")
    start = document.text.index("Pattern set, volute casing, 8 inch")
    found = finding(document, "", kind="fault", status="needs_review", label="x")
    found.evidence = [Evidence.of(document, start, start + 34)]
    result = docx.Document(io.BytesIO(as_docx(report_of(document, [found]), document, path)))
    assert quoted(result.element.body, 0) == "Pattern set, volute casing, 8 inch"
