from __future__ import annotations

import codecs
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_documents import from_text, read
from doyen_documents.plain import decode


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Gebühr €".encode(), "Gebühr €"),
        (codecs.BOM_UTF8 + "Gebühr".encode(), "Gebühr"),
        ("Gebühr €".encode("utf-16"), "Gebühr €"),
        (codecs.BOM_UTF16_BE + "Gebühr €".encode("utf-16-be"), "Gebühr €"),
        ("Gebühr “€”".encode("cp1252"), "Gebühr “€”"),
        (b"a\x81b", "a\x81b"),
        (b"one\r\ntwo\rthree\n", "one\r\ntwo\rthree\n"),
    ],
)
def test_decode(data: bytes, text: str) -> None:
    assert decode(data) == text


def test_read_keeps_the_text_and_hashes_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "lease.txt"
    data = "1. Rent. The Tenant pays.\r\n\r\n2. Term. One year.\r\n".encode("utf-16")
    path.write_bytes(data)
    document = read(path)
    assert document.text == data.decode("utf-16")
    assert document.sha256 == hashlib.sha256(data).hexdigest()
    assert (document.name, document.media_type, document.pages, document.edits) == (
        "lease.txt",
        "text/plain",
        [],
        [],
    )
    assert [s.path for s in document.sections] == ["1", "2"]
    assert read(path, name="other").name == "other"


@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_from_text_changes_nothing(text: str) -> None:
    document = from_text(text)
    assert document.text == text
    assert document.raw() == text
    for section in document.sections:
        assert 0 <= section.start <= section.heading_end <= section.end <= len(text)
        assert section.start < section.end


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\f")),
        min_size=2,
        max_size=5,
    )
)
def test_form_feeds_delimit_pages(pieces: list[str]) -> None:
    document = from_text("\f".join(pieces))
    assert document.pages[0].start == 0
    assert document.pages[-1].end == len(document.text)
    assert [page.end for page in document.pages[:-1]] == [page.start for page in document.pages[1:]]
    assert len(document.pages) == len(pieces) - (0 if pieces[-1].strip() else 1)


def test_page_of_an_offset() -> None:
    document = from_text("one\ftwo\fthree\f")
    assert [document.page_at(document.text.index(word)) for word in ("one", "two", "three")] == [1, 2, 3]
