"""Reading published cases: what a model may see, the cap, ages, bad files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medical_fixtures import SMALL

from doyen_medical.cases import Patient, capped, known_terms, read_cases, years
from doyen_medical.knowledge import ontology as obo
from doyen_schemas import DoyenError

ONTOLOGY = obo.parse(SMALL)
ROW = {
    "case_id": "a", "pmid": "PMID:1", "sex": "MALE", "age": "P1Y6M", "observed": ["HP:0001250", "HP:0000057", "HP:9"],
    "excluded": ["HP:0011097"], "disease_id": "OMIM:1", "disease_name": "One", "genes": ["ABC"],
    "hpoa_cites_this_paper_for_this_disease": True,
}  # fmt: skip


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_a_patient_has_findings_sex_and_age_alone(tmp_path: Path) -> None:
    (case,) = read_cases(write(tmp_path / "c.jsonl", ROW), ONTOLOGY)
    assert case.patient == Patient((ONTOLOGY.number["HP:0001250"],), "M", 1.5)
    assert (case.disease, case.paper, case.cited) == ("OMIM:1", "PMID:1", True)
    assert set(Patient.__slots__) == {"terms", "sex", "age"}


def test_gzip_blank_lines_and_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(("\n\n".join([json.dumps(ROW)] * 3)).encode()))
    assert len(read_cases(path, ONTOLOGY)) == 3
    assert len(read_cases(path, ONTOLOGY, limit=2)) == 2


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "3",
        "[" * 100_000,
        '{"case_id": 1}',
        json.dumps({**ROW, "observed": "HP:0001250"}),
        json.dumps({**ROW, "age": 10**400}),
        json.dumps({**ROW, "age": -1}),
        json.dumps({**ROW, "age": float("nan")}),
        json.dumps({**ROW, "age": "P" + "9" * 400 + "Y"}),
    ],
)
def test_a_line_that_is_no_case(tmp_path: Path, line: str) -> None:
    (tmp_path / "c.jsonl").write_text(f"\n{json.dumps(ROW)}\n{line}")
    with pytest.raises(DoyenError, match=r"MED-011: line 3 of c\.jsonl"):
        read_cases(tmp_path / "c.jsonl", ONTOLOGY)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="MED-010"):
        read_cases(tmp_path / "none", ONTOLOGY)
    (tmp_path / "c.gz").write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(DoyenError, match="MED-011"):
        read_cases(tmp_path / "c.gz", ONTOLOGY)
    damaged = bytearray(gzip.compress(json.dumps(ROW).encode() * 50))
    damaged[12:40] = b"\xff" * 28
    (tmp_path / "c.gz").write_bytes(damaged)
    with pytest.raises(DoyenError, match=r"MED-011.*\(error\)"):
        read_cases(tmp_path / "c.gz", ONTOLOGY)


def test_an_age_in_whole_years_is_read(tmp_path: Path) -> None:
    ages = [
        case.patient.age
        for case in read_cases(write(tmp_path / "c", {**ROW, "age": 7}, {**ROW, "age": 0.5}), ONTOLOGY)
    ]
    assert ages == [7.0, 0.5]


@pytest.mark.parametrize(
    ("text", "age"),
    [("P3Y", 3), ("P6M", 0.5), ("P0D", 0), (None, None), ("", None), ("P", None), ("old", None)],
)
def test_years(text: str | None, age: float | None) -> None:
    assert years(text) == age


@given(st.text(max_size=15))
def test_no_age_breaks_the_reader(text: str) -> None:
    found = years(text)
    assert found is None or found >= 0


def test_ten_of_a_disease_and_paper_in_file_order(tmp_path: Path) -> None:
    rows = [{**ROW, "case_id": str(n), "pmid": f"PMID:{n % 2}"} for n in range(30)]
    kept = capped(read_cases(write(tmp_path / "c.jsonl", *rows), ONTOLOGY))
    assert [case.id for case in kept] == [str(n) for n in range(20)]


def test_known_terms_are_resolved_and_sorted() -> None:
    assert known_terms(["HP:0011097", "HP:0002279", "HP:0001250", "HP:0000005"], ONTOLOGY) == (3, 4)
