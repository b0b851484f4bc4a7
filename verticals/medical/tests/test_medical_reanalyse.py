"""Stored cases ranked again: which are chosen, what is read of them, what is said to have moved; the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medical_report_fixtures import SMALL_HEAD, abstaining, candidate, report

from doyen_medical import audit, reanalyse
from doyen_medical.formats.record import PatientRecord
from doyen_medical.report import MedicalReport
from doyen_medical.report.as_json import as_json, read_report
from doyen_medical.report.write import write
from doyen_runtime.cli import run
from doyen_schemas import DoyenError


class Remembers:
    """Stands for a Diagnoser: keeps the records that it was given."""

    def __init__(self) -> None:
        self.records: list[PatientRecord] = []

    def diagnose_record(self, record: PatientRecord) -> MedicalReport:
        self.records.append(record)
        return report(
            candidates=[candidate(1, "OMIM:9", "New", 0.5, [])], document=None, input_sha256="c" * 64
        )


def test_only_features_are_ranked_again_and_the_case_keeps_its_digest() -> None:
    stand_in: Any = Remembers()
    new = reanalyse.again(report(), stand_in)
    (record,) = stand_in.records
    assert record == PatientRecord("", "note", ("HP:0001250", "HP:0000252"), ("HP:0000365",), "F", 2.5)
    assert new.input_sha256 == report().input_sha256
    assert new.document == report().document
    patient = report().patient
    unsure = patient.model_copy(update={"uncertain": patient.excluded, "foreign": 2})
    reanalyse.again(report(patient=unsure), stand_in)
    assert (stand_in.records[1].uncertain, stand_in.records[1].foreign) == (("HP:0000365",), 2)


def test_a_change_names_who_came_who_left_and_who_moved() -> None:
    old = report()
    new = report(
        knowledge_version="hpo-2026-01-01+1",
        candidates=[candidate(1, "ORPHA:778", "Rett", 0.5, []), candidate(2, "OMIM:5", "New", 0.2, [])],
    )
    change = reanalyse.compare("f", old, new)
    assert change.moved == (("ORPHA:778", 2, 1), ("OMIM:5", 0, 2), ("OMIM:300672", 1, 0))
    assert change.first == ("OMIM:300672", "ORPHA:778")
    assert change.first_probability == (0.62, 0.5)
    assert change.knowledge == ("hpo-2025-01-16+12345678", "hpo-2026-01-01+1")
    assert change.changed
    assert not reanalyse.compare("f", old, old).changed
    assert reanalyse.compare("f", old, abstaining()).changed


def test_places_beyond_the_first_ten_count_as_outside() -> None:
    many = report(candidates=[candidate(n, f"OMIM:{n}", "x", 0.01, []) for n in range(1, 21)])
    turned = report(candidates=[candidate(21 - n, f"OMIM:{n}", "x", 0.01, []) for n in range(20, 0, -1)])
    moved = {code: (old, new) for code, old, new in reanalyse.compare("f", many, turned).moved}
    assert moved["OMIM:20"] == (0, 1)
    assert moved["OMIM:1"] == (1, 0)
    assert len(moved) == 20


def test_reports_are_chosen_by_day_or_release(tmp_path: Path) -> None:
    for name, created, version in (
        ("a", "2025-12-31T10:00:00+00:00", "hpo-2025-01-16+11111111"),
        ("b", "2026-02-01T10:00:00+00:00", "hpo-2025-01-16+11111111.22222222"),
        ("c", "2026-02-02T10:00:00+00:00", "hpo-2026-01-08+33333333"),
    ):
        write(report(created=created, knowledge_version=version), tmp_path / name, ("json", "fhir"))
    (tmp_path / "index.json").write_text('{"documents": []}')
    (tmp_path / "other.json").write_text("no JSON")

    def names(since: str) -> list[str]:
        return [path.parent.name for path, _ in reanalyse.stored(tmp_path, since)]

    assert names("2026-01-01") == ["b", "c"]
    assert names("2020-01-01") == ["a", "b", "c"]
    assert names("hpo-2025-01-16") == ["a", "b", "c"]
    assert names("hpo-2025-06-01+abc") == ["c"]
    for wrong in ("yesterday", "2026-1-1", "hpo-1"):
        with pytest.raises(DoyenError, match=r"MED-085.*--since"):
            names(wrong)
    with pytest.raises(DoyenError, match=r"MED-085.*no such folder"):
        list(reanalyse.stored(tmp_path / "missing", "2026-01-01"))
    (tmp_path / "a" / "report.json").write_text('{"vertical": "medical", "knowledge_version": 1}')
    (path, error), *others = reanalyse.stored(tmp_path, "2020-01-01")
    assert path.parent.name == "a"
    assert isinstance(error, DoyenError)
    assert error.code == "MED-080"
    assert [path.parent.name for path, _ in others] == ["b", "c"], "the others go on"


@pytest.mark.usefixtures("own_home")
class TestCommands:
    """The way of a case: diagnosed, shown, signed, verified, ranked again."""

    def test_a_case_from_file_to_signature(
        self, tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        patient = tmp_path / "case.json"
        patient.write_text(
            json.dumps({
                "id": "secret-id", "subject": {"sex": "FEMALE"},
                "phenotypicFeatures": [{"type": {"id": id}} for id in ("HP:0001250", "HP:0000252", "HP:0001263")],
            })
        )  # fmt: skip
        out = tmp_path / "out"
        assert (
            run(
                [
                    "medical",
                    "diagnose",
                    str(patient),
                    "--out",
                    str(out),
                    "--formats",
                    "json,html,fhir",
                    "--json",
                ]
            )
            == 0
        )
        printed = json.loads(capsys.readouterr().out)
        (folder,) = out.iterdir()
        stored = read_report(folder / "report.json")
        assert stored.model_dump(mode="json") == printed
        assert "MONDO" in stored.absent_code_systems
        assert [c.code for c in stored.candidates[0].codes] == [stored.candidates[0].code]
        assert {s.name for s in stored.stages}
        assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")

        assert (
            run(
                [
                    "medical",
                    "sign",
                    str(folder / "report.json"),
                    "--by",
                    "Dr. A",
                    "--decision",
                    "accept",
                    "--json",
                ]
            )
            == 0
        )
        decision = json.loads(capsys.readouterr().out)
        assert (decision["by"], decision["decision"], decision["ranking_logged"]) == ("Dr. A", "accept", True)
        assert run(["medical", "audit", "verify", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["entries"] == 2
        log = own_home / "medical" / "audit.jsonl"
        assert "secret-id" not in log.read_text()
        assert "case" not in log.read_text()
        assert run(["medical", "audit", "show", "--limit", "1"]) == 0
        assert "signed accept" in capsys.readouterr().out

        assert (
            run(
                [
                    "medical",
                    "report",
                    str(folder / "report.json"),
                    "--out",
                    str(tmp_path / "zh"),
                    "--language",
                    "zh",
                ]
            )
            == 0
        )
        assert "采纳" in (tmp_path / "zh" / "report.html").read_text(encoding="utf-8")

        older = stored.model_copy(
            update={"knowledge_version": "hpo-2024-01-01+00000000", "candidates": stored.candidates[1:]}
        )
        (folder / "report.json").write_bytes(as_json(older))
        capsys.readouterr()
        arguments = [
            "medical",
            "reanalyse",
            str(out),
            "--since",
            "hpo-2023-01-01",
            "--out",
            str(tmp_path / "again"),
        ]
        assert run([*arguments, "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["reports"], summary["ranked_again"], summary["changed"]) == (1, 1, 1)
        assert [stored.candidates[0].code, 0, 1] in summary["changes"][0]["moved"]
        again = read_report(tmp_path / "again" / folder.name / "report.json")
        assert [c.code for c in again.candidates] == [c.code for c in stored.candidates]
        assert [entry.action for entry in audit.entries(log)] == ["ranked", "signed", "ranked-again"]

    def test_stored_reports_are_never_overwritten(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "reports"
        write(report(), folder, ("json",))
        before = (folder / "report.json").read_bytes()
        (tmp_path / "link").symlink_to(folder)
        for out in (folder, tmp_path / "link"):
            arguments = [
                "medical",
                "reanalyse",
                str(folder),
                "--since",
                "2020-01-01",
                "--out",
                str(out),
                "--force",
            ]
            assert run(arguments) == 2
            assert "MED-085: --out holds report.json already" in capsys.readouterr().err
        assert (folder / "report.json").read_bytes() == before

    def test_a_stored_case_with_todays_knowledge_is_left_alone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert (
            run(["medical", "diagnose", "--terms", "HP:0001250", "--out", str(tmp_path), "--formats", "json"])
            == 0
        )
        capsys.readouterr()
        assert run(["medical", "reanalyse", str(tmp_path), "--since", "2020-01-01"]) == 0
        assert "1 reports: 1 already with" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (("audit", "verify", "missing.jsonl"), "MED-070"),
            (("sign", "missing.json", "--by", "x", "--decision", "accept"), "MED-080"),
            (("report", "missing.json", "--out", "x"), "MED-080"),
            (("reanalyse", "missing", "--since", "2026-01-01"), "MED-085"),
            (("reanalyse", ".", "--since", "2999-01-01"), "MED-085"),
            (("diagnose", "--terms", "HP:0001250", "--out", "x", "--language", "fr"), "MED-081"),
        ],
    )
    def test_bad_input_gets_a_code_and_status_2(
        self, arguments: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str],
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        assert run(["medical", *arguments]) == 2
        assert capsys.readouterr().err.startswith(f"{code}: ")

    def test_the_schema_is_printed(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert run(["medical", "schema"]) == 0
        assert json.loads(capsys.readouterr().out)["$id"] == "urn:doyen:medical-report:1"
        assert run(["medical", "schema", "--out", str(tmp_path / "s.json")]) == 0
        assert json.loads((tmp_path / "s.json").read_text())["title"] == "MedicalReport"


def test_a_finding_without_support_is_named() -> None:
    assert [term.id for term in report().unexplained] == [SMALL_HEAD.id]
