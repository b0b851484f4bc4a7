from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import docx
import pypdf
import pytest

from doyen_legal import samples

FAULTS = {
    "undefined-term", "unused-term", "duplicate-definition", "case-drift", "dangling-section",
    "dangling-exhibit", "number-word-mismatch", "date-order", "term-arithmetic", "conflicting-law",
    "conflicting-cap", "party-name-drift",
}  # fmt: skip
MAKER = Path(__file__).parents[3] / "infra/samples/make_samples.py"


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def text_of(path: Path) -> str:
    if path.suffix == ".pdf":
        return squeeze(" ".join(page.extract_text() for page in pypdf.PdfReader(path).pages))
    return squeeze("\n".join(paragraph.text for paragraph in docx.Document(str(path)).paragraphs))


def content(path: Path) -> object:
    """What the file holds, apart from how this machine's zlib packs it."""
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as package:
            return {name: package.read(name) for name in package.namelist()}
    return text_of(path) if path.suffix == ".pdf" else path.read_bytes()


def test_samples_cover_both_formats_and_stay_small() -> None:
    names = [path.name for path in samples.contracts()]
    assert names == ["mutual-nda.docx", "saas-agreement.pdf", "supply-agreement.docx", "supply-agreement.pdf"]
    assert sum(path.stat().st_size for path in samples.FOLDER.iterdir() if path.is_file()) < 300_000


def test_every_kind_of_fault_is_planted() -> None:
    assert {fault.kind for fault in samples.planted()} == FAULTS | {"playbook"}


@pytest.mark.parametrize("path", samples.contracts(), ids=lambda path: path.name)
def test_planted_quotes_stand_in_the_files(path: Path) -> None:
    text = text_of(path)
    mine = [fault for fault in samples.planted() if fault.file == path.name]
    assert len(mine) >= 5
    for fault in mine:
        # a running footer may stand inside a quote that crosses a page: none of the planted ones does
        assert text.count(fault.quote) == 1, fault.quote


def test_pdfs_have_four_to_ten_pages_with_running_footers() -> None:
    for path in samples.contracts():
        if path.suffix == ".pdf":
            pages = pypdf.PdfReader(path).pages
            assert 4 <= len(pages) <= 10
            assert all(f"Page {n} of {len(pages)}" in page.extract_text() for n, page in enumerate(pages, 1))


def test_docx_numbers_are_automatic() -> None:
    document = docx.Document(str(samples.FOLDER / "mutual-nda.docx"))
    articles = [p for p in document.paragraphs if p.style is not None and p.style.name == "Heading 1"]
    assert [p.text for p in articles][:2] == ["Definitions", "Obligations of Confidence"]
    assert all(p._p.pPr.numPr is not None for p in articles)
    assert not any(re.match(r"\d", p.text) for p in articles)


@pytest.mark.skipif(not MAKER.is_file(), reason="the maker script is not part of an installed package")
def test_maker_reproduces_the_committed_files(tmp_path: Path) -> None:
    pytest.importorskip("reportlab", reason="reportlab, which draws the sample PDFs, is not installed")
    subprocess.run([sys.executable, str(MAKER), str(tmp_path)], check=True)
    names = {path.name for path in samples.contracts()} | {"planted.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        assert content(tmp_path / name) == content(samples.FOLDER / name), name
