from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from doyen_documents import cache, read, reader
from doyen_documents.sniff import PDF
from doyen_schemas import Document, DoyenError


def test_missing_folder_empty_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, code in (
        (tmp_path / "none.pdf", "DOC-001"),
        (tmp_path, "DOC-002"),
        (Path("bad\0name"), "DOC-003"),
    ):
        with pytest.raises(DoyenError, match=code):
            read(path)
    (tmp_path / "empty.pdf").touch()
    with pytest.raises(DoyenError, match="DOC-004"):
        read(tmp_path / "empty.pdf")
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 2)
    (tmp_path / "large.txt").write_text("abc")
    with pytest.raises(DoyenError, match="DOC-005"):
        read(tmp_path / "large.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DoyenError, match="DOC-002"):
        read(tmp_path / "pipe")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("x")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    # chmod would not stop a test that runs as root.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DoyenError, match=r"DOC-003.*Permission denied"):
        read(tmp_path / "a.txt")


def test_the_content_decides_not_the_name(make_pdf: Any, tmp_path: Path) -> None:
    pdf = make_pdf([[(72, 700, "hello")]], name="contract.docx")
    assert read(pdf).media_type == PDF
    (tmp_path / "page.pdf").write_text("<html><body>x</body></html>")
    assert read(tmp_path / "page.pdf").media_type == "text/html"
    (tmp_path / "text.pdf").write_text("plain")
    assert read(tmp_path / "text.pdf").media_type == "text/plain"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n....",
        b"\xff\xd8\xff\xe0",
        b"{\\rtf1 x}",
        b"\x7fELF\x00\x00",
        b"\x01\x02\x03" * 50,
        b"PK\x05\x06" + bytes(18),
    ],
)
def test_other_formats(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(data)
    with pytest.raises(DoyenError, match="DOC-006"):
        read(tmp_path / "x.txt")


# --- cache --------------------------------------------------------------------------------------------------------


def _entries() -> list[Path]:
    return sorted(cache.folder().glob("*"))


def test_a_second_reading_comes_from_the_cache(
    make_pdf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pdf([[(72, 700, "hello")]])
    first = read(path)
    assert [entry.stat().st_mode & 0o777 for entry in _entries()] == [0o600]
    assert cache.folder().stat().st_mode & 0o777 == 0o700
    path = path.rename(tmp_path / "renamed.pdf")

    def never(*_: object) -> Document:
        raise AssertionError("read again")

    monkeypatch.setattr(reader, "_read", never)
    assert read(path) == first.model_copy(update={"name": "renamed.pdf"})
    assert read(path).boxes(0, 5) == first.boxes(0, 5)


def test_cache_off(make_pdf: Any) -> None:
    read(make_pdf([[(72, 700, "hello")]]), cache=False)
    assert not cache.folder().exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff\xfe"])
def test_a_damaged_entry_is_read_again_and_rewritten(make_pdf: Any, damage: bytes) -> None:
    path = make_pdf([[(72, 700, "hello")]])
    read(path)
    (entry,) = _entries()
    good = entry.read_bytes()
    entry.write_bytes(damage)
    assert read(path).text == "hello"
    assert entry.read_bytes() == good


def test_an_entry_of_another_document_is_not_believed(make_pdf: Any) -> None:
    one, two = make_pdf([[(72, 700, "one")]], name="1.pdf"), make_pdf([[(72, 700, "two")]], name="2.pdf")
    read(one)
    (first,) = _entries()
    read(two)
    (second,) = set(_entries()) - {first}
    second.write_bytes(first.read_bytes())
    assert read(two).text == "two"


def test_a_cache_that_cannot_be_written_is_no_error(
    make_pdf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "file"))
    assert read(make_pdf([[(72, 700, "hello")]])).text == "hello"


def test_the_least_recently_used_entries_go_first(tmp_path: Path) -> None:
    for age, name in enumerate("cab"):
        (tmp_path / name).write_bytes(b"0" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    cache._shrink(tmp_path, limit=250)
    assert {entry.name for entry in tmp_path.iterdir()} == {"c", "a"}


def test_import_is_quick_and_loads_no_reader() -> None:
    code = "import sys, doyen_documents; print([m for m in ('pdfplumber', 'docx', 'lxml', 'pdfminer', 'PIL') if m in sys.modules])"
    started = time.process_time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.process_time() - started < 0.3
