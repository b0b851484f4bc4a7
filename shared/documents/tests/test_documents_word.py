from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from doyen_documents import package, read
from doyen_documents.numbering import format_number
from doyen_schemas import DoyenError

NS = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TYPES = """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
<Override PartName="/word/numbering.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.numbering+xml"/>
<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>
<Override PartName="/word/footnotes.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"/>
</Types>"""
NUMBERING = f"""<w:numbering {NS}>
<w:abstractNum w:abstractNumId="0">
 <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="ARTICLE %1"/></w:lvl>
 <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:isLgl/><w:lvlText w:val="%1.%2"/><w:pStyle w:val="Clause"/></w:lvl>
 <w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%3)"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="2"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
</w:numbering>"""
STYLES = f"""<w:styles {NS}>
<w:style w:type="paragraph" w:styleId="Base"><w:name w:val="Base"/><w:basedOn w:val="Clause"/></w:style>
<w:style w:type="paragraph" w:styleId="Clause"><w:name w:val="Clause"/><w:basedOn w:val="Base"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>
</w:styles>"""

Maker = Callable[..., Path]


@pytest.fixture
def make_docx(tmp_path: Path) -> Maker:
    """``make_docx(body, **parts)``: a DOCX of raw body XML and further parts by file name."""

    def make(body: str, name: str = "made.docx", **parts: str) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("[Content_Types].xml", TYPES)
            archive.writestr("word/document.xml", f"<w:document {NS}><w:body>{body}</w:body></w:document>")
            for part, xml in parts.items():
                archive.writestr(f"word/{part}.xml", xml)
        return path

    return make


def p(text: str, properties: str = "") -> str:
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def numbered(text: str, level: int, list_id: int = 1) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')


def test_automatic_numbers_are_counted_as_word_prints_them(make_docx: Maker) -> None:
    body = (
        numbered("DEFINITIONS", 0) + numbered("Terms. These:", 1) + numbered("one;", 2) + numbered("two.", 2)
        + p("Style alone.", '<w:pStyle w:val="Clause"/>')
        + numbered("FEES", 0) + numbered("Price.", 1) + numbered("three;", 2) + numbered("restarted.", 2, 2)
        + p("None.", '<w:pStyle w:val="Clause"/><w:numPr><w:numId w:val="0"/></w:numPr>')
    )  # fmt: skip
    document = read(make_docx(body, numbering=NUMBERING, styles=STYLES))
    assert document.text.split("\n\n") == [
        "ARTICLE I DEFINITIONS", "1.1 Terms. These:", "(a) one;", "(b) two.", "1.2 Style alone.",
        "ARTICLE II FEES", "2.1 Price.", "(a) three;", "(a) restarted.", "None.",
    ]  # fmt: skip
    assert [s.path for s in document.sections][:5] == ["I", "1.1", "1.1(a)", "1.1(b)", "1.2"]
    assert document.pages == []


def test_changes_are_read_as_accepted(make_docx: Maker) -> None:
    run = '<w:r><w:t xml:space="preserve">{}</w:t></w:r>'
    gone = '<w:pPr><w:rPr><w:del w:id="9" w:author="x"/></w:rPr></w:pPr>'
    body = (
        f'<w:p>{run.format("pay ")}<w:ins w:id="1" w:author="x">{run.format("60")}</w:ins>'
        f'<w:del w:id="2" w:author="x"><w:r><w:delText>30</w:delText></w:r></w:del>{run.format(" days")}</w:p>'
        f"<w:p>{gone}{run.format('joined ')}</w:p><w:p>{run.format('to this')}</w:p>"
        f"<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>{run.format('seen')}</w:p>"
    )
    assert read(make_docx(body)).text == "pay 60 days\n\njoined to this\n\nseen"


def test_tables_notes_breaks_and_boxes(make_docx: Maker) -> None:
    cell = "<w:tc>{}</w:tc>"
    table = (
        f"<w:tbl><w:tr>{cell.format(p('Fee'))}{cell.format(p('USD 5') + p('a month'))}</w:tr>"
        f"<w:tr><w:trPr><w:del w:id='1' w:author='x'/></w:trPr>{cell.format(p('gone'))}</w:tr>"
        f"<w:tr>{cell.format(p('Term'))}{cell.format(p('1 year'))}</w:tr></w:tbl>"
    )
    note = '<w:p><w:r><w:t>Law</w:t><w:footnoteReference w:id="2"/><w:tab/><w:t>of</w:t><w:br/><w:t>Ohio</w:t></w:r></w:p>'
    box = f"<w:p><w:r><w:pict><w:txbxContent>{p('in a box')}</w:txbxContent></w:pict></w:r></w:p>"
    footnotes = f'<w:footnotes {NS}><w:footnote w:id="0">{p("line")}</w:footnote><w:footnote w:id="2">{p("As amended.")}</w:footnote></w:footnotes>'
    text = read(make_docx(table + note + box, footnotes=footnotes)).text
    assert text == "Fee\tUSD 5\na month\nTerm\t1 year\n\nLaw[1]\tof\nOhio\n\nin a box\n\n[1] As amended."


def test_python_docx_files(tmp_path: Path) -> None:
    import docx

    made = docx.Document()
    made.add_heading("Services", 1)
    made.add_paragraph("first", style="List Number")
    made.add_paragraph("second", style="List Number")
    made.sections[0].header.paragraphs[0].text = "HEADER"
    made.save(str(tmp_path / "made.docx"))
    document = read(tmp_path / "made.docx")
    assert document.text == "Services\n\n1. first\n\n2. second"
    assert document.sections[0].title == "Services"


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (4, "upperRoman", "IV"), (1999, "lowerRoman", "mcmxcix"), (27, "lowerLetter", "aa"), (3, "upperLetter", "C"),
        (7, "decimalZero", "07"), (12, "ordinal", "12th"), (23, "ordinal", "23rd"), (21, "cardinalText", "Twenty-one"),
        (20, "ordinalText", "Twentieth"), (33, "ordinalText", "Thirty-third"), (0, "lowerLetter", "0"), (5, "none", ""),
    ],
)  # fmt: skip
def test_number_formats(value: int, form: str, text: str) -> None:
    assert format_number(value, form) == text


def _zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = _zip(
        tmp_path / "b.docx", {"[Content_Types].xml": TYPES.encode(), "word/document.xml": b"0" * (60 << 20)}
    )
    with pytest.raises(DoyenError, match=r"DOC-010.*times its size"):
        read(bomb)


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_ENTRIES", 1), ("MAX_TOTAL_BYTES", 100), ("MAX_PART_BYTES", 100)]
)
def test_limits(limit: str, value: int, make_docx: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, limit, value)
    with pytest.raises(DoyenError, match="DOC-010"):
        read(make_docx(p("x")))


def test_entries_that_share_their_bytes(make_docx: Maker) -> None:
    path = make_docx(p("x" * 3000))
    data = bytearray(path.read_bytes())
    # The directory's record of the main part claims more packed bytes than the file has.
    at = data.rindex(b"word/document.xml") - 46
    struct.pack_into("<I", data, at + 20, 1 << 20)
    path.write_bytes(bytes(data))
    with pytest.raises(DoyenError, match="DOC-010"):
        read(path)


def test_a_header_that_lies_about_the_size(make_docx: Maker) -> None:
    path = make_docx(p("x" * 3000))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"word/document.xml") - 46
    struct.pack_into("<I", data, at + 24, 100)
    path.write_bytes(bytes(data))
    with pytest.raises(DoyenError, match="DOC-009"):
        read(path)


@pytest.mark.parametrize(
    "dtd",
    [
        '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x">',
    ],
)
def test_entities_and_dtds_are_refused(dtd: str, tmp_path: Path) -> None:
    xml = f"{dtd}<w:document {NS}><w:body>{p('&a;' if 'ENTITY' in dtd else 'x')}</w:body></w:document>"
    path = _zip(
        tmp_path / "e.docx", {"[Content_Types].xml": TYPES.encode(), "word/document.xml": xml.encode()}
    )
    with pytest.raises(DoyenError, match="DOC-011"):
        read(path)


@pytest.mark.parametrize(
    "xml", ["<w:document", f"<w:document {NS}/>", f"<w:document {NS}><w:body>{'<w:sdt>' * 5000}", ""]
)
def test_broken_parts(xml: str, tmp_path: Path) -> None:
    path = _zip(
        tmp_path / "x.docx", {"[Content_Types].xml": TYPES.encode(), "word/document.xml": xml.encode()}
    )
    with pytest.raises(DoyenError, match="DOC-009"):
        read(path)


def test_nesting_to_the_parsers_limit_does_no_harm(make_docx: Maker) -> None:
    depth = 120
    body = "<w:tbl><w:tr><w:tc>" * 60 + p("deep") + "</w:tc></w:tr></w:tbl>" * 60
    assert read(make_docx("<w:sdt>" * depth + p("x") + "</w:sdt>" * depth)).text == "x"
    assert read(make_docx(body, name="tables.docx")).text == "deep"


def test_truncated_docx(make_docx: Maker) -> None:
    path = make_docx(p("x" * 3000))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DoyenError, match="DOC-009"):
        read(path)


def test_packages_without_a_main_part(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.docx", {"[Content_Types].xml": b"<Types/>", "word/other.xml": b"<x/>"})
    with pytest.raises(DoyenError, match=r"DOC-009.*no main"):
        read(path)


def test_encrypted_entries(make_docx: Maker) -> None:
    path = make_docx(p("x"))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"word/document.xml") - 46
    data[at + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DoyenError, match="DOC-007"):
        read(path)


def test_encrypted_office_files(tmp_path: Path) -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
    (tmp_path / "a.docx").write_bytes(ole + "EncryptedPackage".encode("utf-16-le"))
    (tmp_path / "b.doc").write_bytes(ole)
    with pytest.raises(DoyenError, match="DOC-007"):
        read(tmp_path / "a.docx")
    with pytest.raises(DoyenError, match=r"DOC-006.*old Word"):
        read(tmp_path / "b.doc")
