"""The commands: diagnose, evaluate, knowledge, train; the plugin's options; what importing loads."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from medical_fixtures import write_release
from typer.testing import CliRunner

from doyen_medical import audit
from doyen_medical.cli import app
from doyen_medical.knowledge import store
from doyen_medical.pipeline import Diagnoser
from doyen_medical.plugin import VERTICAL, validate_options
from doyen_schemas import DoyenError

RUN = CliRunner()
TERMS = "HP:0001083,HP:0002616,HP:0001166,!HP:0001250"


def test_terms_are_ranked_and_the_excluded_one_is_explained_alone() -> None:
    done = RUN.invoke(app, ["diagnose", "--terms", TERMS, "--top", "3", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [candidate["rank"] for candidate in report["candidates"]] == [1, 2, 3]
    assert [term["id"] for term in report["patient"]["excluded"]] == ["HP:0001250"]
    assert report["excluded_terms_used"] == 0
    assert report["knowledge_version"].startswith("hpo-")


def test_a_bad_file_fails_alone(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tsv", tmp_path / "bad.json"
    good.write_text("HP:0001083\nHP:0002616\n")
    bad.write_text("{")
    done = RUN.invoke(app, ["diagnose", str(bad), str(good)])
    assert done.exit_code == 2
    assert "MED-05" in done.stderr
    assert "good.tsv: 2 findings observed" in done.stdout
    assert "None of these" in done.stdout


def test_hostile_files_fail_alone(tmp_path: Path) -> None:
    packet = {"phenotypicFeatures": [{"type": {"id": "HP:0001083"}}]}
    bad = []
    for name, age in (("huge", "P" + "9" * 400 + "Y"), ("old", "P131Y")):
        bad.append(tmp_path / f"{name}.json")
        bad[-1].write_text(json.dumps({**packet, "subject": {"timeAtLastEncounter": {"age": age}}}))
    bad.append(tmp_path / ("x" * 300))
    locked = tmp_path / "locked.tsv"
    locked.write_text("HP:0001083\n")
    locked.chmod(0)
    named = tmp_path / os.fsdecode(b"caf\xe9.tsv")
    named.write_text("HP:0001083\n")
    good = tmp_path / "good.tsv"
    good.write_text("HP:0001083\nHP:0002616,unknown\n")
    readable = os.access(locked, os.R_OK)
    files = [*map(str, bad), *([] if readable else [str(locked)]), str(named), str(good)]
    done = RUN.invoke(
        app,
        ["diagnose", *files, "--terms", "HP:9999999", "--out", str(tmp_path / "out"), "--formats", "json"],
    )
    assert done.exit_code == 2, done.output
    assert done.stderr.count("MED-049") == 2
    assert done.stderr.count("MED-059") == (1 if readable else 2)
    assert done.stderr.count("\n") == (4 if readable else 5)
    assert "caf\ufffd.tsv: 1 findings observed" in done.stdout
    assert "good.tsv: 1 findings observed" in done.stdout
    assert "left out as uncertain: Aortic root aneurysm (HP:0002616)" in done.stdout
    reports = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("report.json")]
    assert sorted(len(report["patient"]["uncertain"]) for report in reports) == [0, 1]


@pytest.mark.parametrize(
    "person",
    [{"age": -5}, {"age": math.nan}, {"age": math.inf}, {"age": 131}, {"age": "3"}, {"sex": "male"}],
)
def test_a_sex_or_age_that_no_person_has_is_refused(person: dict[str, Any]) -> None:
    with pytest.raises(DoyenError, match="MED-049"):
        Diagnoser().diagnose_terms(["HP:0001083"], **person)


def test_unknown_formats_are_refused_before_anything_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[object] = []
    monkeypatch.setattr(audit, "record", lambda *args, **rest: logged.append(args))
    for option in (["--formats", "nonsense"], ["--language", "fr"]):
        done = RUN.invoke(app, ["diagnose", "--terms", TERMS, "--out", str(tmp_path / "out"), *option])
        assert isinstance(done.exception, DoyenError)
        assert done.exception.code == "MED-081"
    assert not logged
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["diagnose"], "MED-020"),
        (["diagnose", "--terms", "HP:0001250", "--profile", "x"], "MED-020"),
        (["diagnose", "--terms", "HP:0001250", "--top", "99"], "MED-020"),
        (["diagnose", "--terms", "HP:9999999"], "MED-054"),
        (["evaluate", "--protocol", "concepts", "--data", "x", "--floors"], "MED-021"),
        (["evaluate", "--protocol", "papers", "--data", "none.jsonl"], "MED-010"),
        (["knowledge", "build"], "MED-022"),
        (["knowledge", "update"], "MED-022"),
        (["knowledge", "update", "--release", "."], "MED-022"),
    ],
)
def test_what_is_wrong_has_a_code(arguments: list[str], code: str) -> None:
    done = RUN.invoke(app, arguments)
    assert isinstance(done.exception, DoyenError)
    assert done.exception.code == code


def test_knowledge_is_built_shown_and_replaced(tmp_path: Path, monkeypatch) -> None:
    settings = type("S", (), {"cache": tmp_path / "c", "home": tmp_path / "h"})()
    monkeypatch.setattr(store, "get_settings", lambda: settings)
    store.load.cache_clear()
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"subject_id": "HP:0001250", "translation_value": "癫痫"}\n', encoding="utf-8")
    assert RUN.invoke(app, ["knowledge", "build", "--labels-zh", str(labels)]).exit_code == 0
    release = write_release(tmp_path / "r")
    updated = RUN.invoke(app, ["knowledge", "update", "--release", str(release)])
    assert "in use: hpo-2024-02-03+" in updated.output
    shown = json.loads(RUN.invoke(app, ["knowledge", "show", "--json"]).stdout)
    assert (shown["terms"], shown["diseases"], shown["chinese_labels"]) == (5, 1, 1)
    assert shown["absent_code_systems"] == ["MONDO", "ORPHA", "ICD-10-CM", "ICD-11"]
    assert RUN.invoke(app, ["knowledge", "update", "--shipped"]).exit_code == 0
    assert not (tmp_path / "h" / "medical" / "knowledge" / "hpo").exists()
    store.load.cache_clear()


def test_the_weights_say_what_they_were_trained_with() -> None:
    done = RUN.invoke(app, ["train", "show"])
    assert done.exit_code == 0
    assert "ranker: 3 networks" in done.stdout
    assert "hpo-2025-01-16" in done.stdout


def test_options_of_a_batch() -> None:
    checked = validate_options({"top": "5"})
    assert checked["top"] == 5
    assert checked["profile"] == "fix"
    assert checked["knowledge"].startswith("hpo-")
    assert validate_options(checked) == checked
    for wrong in ({"tops": 1}, {"top": "x"}, {"top": 0}, {"profile": "x"}):
        with pytest.raises(DoyenError, match="MED-020"):
            validate_options(wrong)


def test_a_document_of_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "patient.tsv"
    path.write_text("HP:0001083\nHP:0002616\n")
    report = VERTICAL.review(path, validate_options({"top": 2}))
    assert len(report["candidates"]) == 2
    assert json.dumps(report)


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, doyen_medical.plugin, doyen_medical.cli; print([n for n in ('torch', 'scipy', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_evaluation_prints_one_object(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([[["HP:0001083", "HP:0002616"], ["OMIM:154700"]]] * 3))
    done = RUN.invoke(
        app, ["evaluate", "--protocol", "external", "--data", str(path), "--limit", "2", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["n"] == 2
    plain = RUN.invoke(app, ["evaluate", "--protocol", "external", "--data", str(path)])
    assert "knowledge_version" in plain.stdout
