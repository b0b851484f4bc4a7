from __future__ import annotations

from pathlib import Path

import pytest

from doyen_documents import read
from doyen_schemas import DoyenError


def _read(tmp_path: Path, html: str | bytes, name: str = "page.html") -> str:
    data = html if isinstance(html, bytes) else html.encode()
    (tmp_path / name).write_bytes(data)
    document = read(tmp_path / name, cache=False)
    assert document.media_type == "text/html"
    return document.text


def test_blocks_entities_and_dropped_parts(tmp_path: Path) -> None:
    html = """<!DOCTYPE html><html><head><title>T</title><style>p {}</style></head><body>
    <h1>Supply &amp; Co</h1><p>One  <b>wo</b>rd,&nbsp;two<br>three</p><script>alert(1)</script>
    <div style="display: none">hidden <p>deep</p></div>tail<!-- note --><p hidden>no</p></body></html>"""
    assert _read(tmp_path, html) == "Supply & Co\n\nOne word, two\nthree\n\ntail"


def test_lists_tables_and_headings(tmp_path: Path) -> None:
    html = """<html><body><h2>Fees</h2><ol type="a" start="2"><li>first</li><li><p>second</p></li></ol><ul><li>dot</li></ul>
    <table><tr><td>(a)</td><td>text</td></tr><tr><td>1</td><td>2</td></tr></table><pre>x
  y</pre></body></html>"""
    assert _read(tmp_path, html) == "Fees\n\nb. first\n\nc. second\n\n• dot\n\n(a)\ttext\n1\t2\n\nx\n  y"
    sections = read(tmp_path / "page.html").sections
    assert (sections[0].title, sections[0].level) == ("Fees", 2)


@pytest.mark.parametrize(
    "data",
    [
        '<html><head><meta charset="windows-1252"></head><body>Gebühr €</body></html>'.encode("cp1252"),
        '<html><head><meta charset="iso-8859-1"></head><body>Gebühr €</body></html>'.encode("cp1252"),
        '<html><head><meta charset="utf-8"></head><body>Gebühr €</body></html>'.encode("cp1252"),
        '<?xml version="1.0" encoding="utf-8"?><html><body>Gebühr €</body></html>'.encode(),
        "<html><body>Gebühr €</body></html>".encode("utf-16"),
        b'<html><head><meta charset="no-such"></head><body>Geb\xfchr \x80</body></html>',
    ],
)
def test_encodings(data: bytes, tmp_path: Path) -> None:
    assert _read(tmp_path, data) == "Gebühr €"


def test_entity_bombs_do_not_expand(tmp_path: Path) -> None:
    html = '<!DOCTYPE html [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><html><body><p>x &b; y</p></body></html>'
    assert "lollol" not in _read(tmp_path, html)


def test_a_piece_of_html_needs_its_suffix(tmp_path: Path) -> None:
    assert _read(tmp_path, "<p>One</p><p>Two</p>") == "One\n\nTwo"
    (tmp_path / "piece.txt").write_text("Use <p> for paragraphs.")
    assert read(tmp_path / "piece.txt").text == "Use <p> for paragraphs."


def test_unclosed_tags_nest_deep_and_are_read(tmp_path: Path) -> None:
    assert _read(tmp_path, "<html><body>" + "<font>x " * 1000).count("x") == 1000


@pytest.mark.parametrize("html", ["<html>" + "<div>" * 100_000 + "x"])
def test_nesting_beyond_the_parsers_limit(html: str, tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="DOC-015"):
        _read(tmp_path, html)
