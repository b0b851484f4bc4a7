"""The paper index and the modules agree: every citation is listed, every listed module cites."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "infra" / "docs" / "papers.md"
CITATIONS = (
    re.compile(r"([A-Z][\w-]+) et al\.,? \(?((?:19|20)\d\d)\b"),
    re.compile(r"([A-Z][\w-]+)(?:, [A-Z][\w-]+)* (?:and|&) [A-Z][\w-]+,? \(?((?:19|20)\d\d)\b"),
    re.compile(r"\(([A-Z][\w-]+),? ((?:19|20)\d\d)\)"),
)
ARXIV = re.compile(r"arXiv[: ](\d{4}\.\d{4,5})")

Paper = tuple[str, str]


def citations(text: str) -> set[Paper]:
    """First author and year of every paper named in ``text``, which may be broken over comment lines."""
    flat = " ".join(text.replace("#", " ").split())
    return {(m[1], m[2]) for pattern in CITATIONS for m in pattern.finditer(flat)}


@cache
def modules() -> dict[str, str]:
    """The text of every module that we ship."""
    return {f.relative_to(ROOT).as_posix(): f.read_text() for f in sorted(ROOT.glob("*/*/src/**/*.py"))}


@cache
def index() -> dict[Paper, tuple[str, set[str]]]:
    """Each listed paper's arXiv id ("" where it has none) and modules."""
    rows: dict[Paper, tuple[str, set[str]]] = {}
    for line in INDEX.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| ") or cells[0] == "paper":
            continue
        assert len(cells) == 4, line
        assert all(cells), line
        (paper,) = citations(cells[0].split(", *")[0] + " ") or {
            (cells[0].split()[0], cells[0].split()[1][:4])
        }
        assert paper not in rows, f"{paper} has two rows"
        identifier = ARXIV.search(cells[0])
        rows[paper] = (identifier[1] if identifier else "", set(re.findall(r"`([\w/.-]+\.py)`", cells[3])))
    return rows


@pytest.mark.parametrize(
    ("text", "paper"),
    [
        ("LoRA (Hu et al. 2021)", ("Hu", "2021")),
        ("as in Pfeiffer et al. (2021).", ("Pfeiffer", "2021")),
        ("prefix (Li & Liang 2021)", ("Li", "2021")),
        ("Huang, Xu and Yu 2015", ("Huang", "2015")),
        ("intervals (Efron 1979)", ("Efron", "1979")),
        ("broken (Ding et al.\n    # 2024)", ("Ding", "2024")),
    ],
)
def test_the_ways_to_cite_are_recognised(text: str, paper: Paper) -> None:
    assert citations(text) == {paper}


def test_every_citation_is_listed_with_its_module() -> None:
    missing = [
        f"{author} {year} in {file}"
        for file, text in modules().items()
        for author, year in sorted(citations(text))
        if file not in index().get((author, year), ("", set()))[1]
    ]
    assert not missing, "; ".join(missing)


def test_every_listed_module_cites_its_paper() -> None:
    for paper, (_, files) in index().items():
        assert files, f"{paper} has no module"
        for file in files:
            assert file in modules(), f"{file} does not exist"
            assert paper in citations(modules()[file]), f"{file} does not cite {paper}"


def test_an_arxiv_number_in_a_module_is_that_of_the_cited_paper() -> None:
    listed = {identifier: files for identifier, files in index().values() if identifier}
    for file, text in modules().items():
        for identifier in ARXIV.findall(" ".join(text.split())):
            assert file in listed.get(identifier, set()), f"arXiv:{identifier} in {file}"
