"""A store of the user's own phenopackets: what is read of it, what is left out, and that the ranking learns from it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from doyen_medical.knowledge import own_patients, store
from doyen_medical.pipeline import Diagnoser, _production
from doyen_schemas import DoyenError

FINDINGS = ("HP:0001250", "HP:0000252", "HP:0001252", "HP:0002376", "HP:0000486")
MADE_UP = "OMIM:999999"


def packet(code: str | None = MADE_UP, findings: tuple[str, ...] = FINDINGS, **rest: Any) -> dict[str, Any]:
    diagnosis = {"disease": {"id": code, "label": "A disease of our own"}}
    return {
        "id": "p", "subject": {"sex": "FEMALE", "timeAtLastEncounter": {"age": {"iso8601duration": "P3Y"}}},
        "phenotypicFeatures": [{"type": {"id": term}} for term in findings],
        "interpretations": [{"progressStatus": "SOLVED", "diagnosis": diagnosis}] if code else [],
    } | rest  # fmt: skip


def write(folder: Path, *packets: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, value in enumerate(packets):
        (folder / f"{number}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return folder


def test_solved_cases_are_read_and_the_others_counted(tmp_path: Path) -> None:
    unsolved = packet()
    unsolved["interpretations"][0]["progressStatus"] = "IN_PROGRESS"
    folder = write(
        tmp_path / "store",
        packet(metaData={"externalReferences": [{"id": "PMID:123"}]}),
        packet(None, diseases=[{"term": {"id": "Orphanet:558", "label": "Marfan"}}, {"term": {"id": "OMIM:1"}, "excluded": True}]),
        unsolved,
        packet("MONDO:0007947"),
        packet(findings=()),
        packet(None),
        "{no json",
    )  # fmt: skip
    cases, left_out = own_patients.read_store(folder, store.load_published().ontology)
    assert [(case.disease, case.patient.sex, case.patient.age) for case in cases] == [
        (MADE_UP, "F", 3.0),
        ("ORPHA:558", "F", 3.0),
    ]
    assert cases[0].paper == "PMID:123"
    assert cases[1].paper.startswith("own:")
    assert dict(left_out) == {
        "without a single solved diagnosis": 2,
        "whose diagnosis is neither OMIM nor ORPHA": 1,
        "no phenopacket that can be read": 2,
    }


def test_an_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    archive = tmp_path / "store.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cohort/a.json", json.dumps(packet()))
        file.writestr("README.txt", "no packet")
    cases, left_out = own_patients.read_store(archive, store.load_published().ontology)
    assert len(cases) == 1
    assert not left_out


def test_a_damaged_entry_of_an_archive_is_counted(tmp_path: Path) -> None:
    archive = tmp_path / "store.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.json", json.dumps(packet()))
        file.writestr("b.json", json.dumps(packet(id="damaged")))
    archive.write_bytes(archive.read_bytes().replace(b"damaged", b"changed"))
    cases, left_out = own_patients.read_store(archive, store.load_published().ontology)
    assert len(cases) == 1
    assert dict(left_out) == {"no phenopacket that can be read": 1}


@pytest.mark.parametrize("kind", ["empty", "file", "unsolved"])
def test_a_store_without_a_case_is_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "store", *([packet(None)] if kind == "unsolved" else []))
    if kind == "file":
        path = tmp_path / "plain.txt"
        path.write_text("x")
    with pytest.raises(DoyenError, match="MED-023"):
        own_patients.read_store(path, store.load_published().ontology)


@pytest.mark.usefixtures("own_home")
def test_the_ranking_learns_from_own_cases_and_forgets_them(tmp_path: Path) -> None:
    from doyen_medical.cli import app

    published = store.load_published().version
    assert MADE_UP not in _codes()
    folder = write(tmp_path / "store", packet(), packet(findings=FINDINGS[:4]), packet(findings=FINDINGS[1:]))
    done = CliRunner().invoke(app, ["knowledge", "build", "--phenopackets", str(folder)])
    assert done.exit_code == 0, done.output
    assert "3 cases of your own" in done.output
    _again()
    report = Diagnoser(top=5).diagnose_terms(list(FINDINGS))
    assert report.candidates[0].code == MADE_UP
    assert report.candidates[0].published_patients == 3
    assert report.knowledge_version.startswith(f"{published}.")
    assert store.load_published().version == published, "no figure rests on own cases"
    kept = "".join(p.read_text(errors="replace") for p in (store.user_folder() / "patients").iterdir())
    assert '"p"' not in kept, "the packet's own id is not kept"
    CliRunner().invoke(app, ["knowledge", "build", "--forget-phenopackets"])
    _again()
    assert MADE_UP not in _codes()


def _codes() -> list[str]:
    return [candidate.code for candidate in Diagnoser(top=5).diagnose_terms(list(FINDINGS)).candidates]


def _again() -> None:
    store.load.cache_clear()
    _production.cache_clear()
