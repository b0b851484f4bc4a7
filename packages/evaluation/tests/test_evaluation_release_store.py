"""A store of releases: promotion only through the gate, roll-back, the log, and the command line."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from release_fixtures import figure, spec, use_keys, weightless

from doyen_evaluation.release import store as releases
from doyen_evaluation.release.build import build
from doyen_evaluation.release.spec import assemble
from doyen_runtime import adapters, signing
from doyen_runtime.cli import run
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

NAME = "demo"
SPEC = """
name = "demo"
version = "1.0.0"
vertical = "testkit"
requires_runtime = ">=0.1"
seeds = [17]
recipes = ["recipe.toml"]
primary = ["f1"]
evaluation = "figures.json"

[bases.encoder]
source = "wheel:none==1"
weights_sha256 = "{digest}"
tokenizer_sha256 = "{digest}"

[licences]
text = "CC0"
"""


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_keys(tmp_path / "keys", monkeypatch)
    yield
    get_settings.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def release(store: Path, version: str, f1: float = 0.6, answer: float = 0.5) -> Path:
    root = store.parent
    weights = weightless(root / f"weights-{version}", answer)
    made = assemble(weights, spec(root, version, evaluation={"f1": figure(f1)}), root)
    build(weights, made, store / NAME / version, previous=None)
    return store / NAME / version


def log(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (store / NAME / "audit.jsonl").read_text().splitlines()]


def code(function: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(DoyenError) as raised:
        function(*arguments, **options)
    assert raised.value.hint
    return raised.value.code


def test_promotion_moves_the_pointer_and_is_logged(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = release(store, "1.0.0")
    monkeypatch.setenv("DOYEN_RELEASES", str(store))
    get_settings.cache_clear()
    assert adapters.in_use(NAME, tmp_path) == tmp_path
    result = releases.promote(store, NAME, "1.0.0")
    assert adapters.in_use(NAME, tmp_path) == shipped
    written = releases.GateResult.model_validate_json((store / NAME / "1.0.0.gate.json").read_text())
    assert written == result
    release(store, "1.1.0", 0.65)
    releases.promote(store, NAME, "1.1.0")
    assert adapters.in_use(NAME, tmp_path) == store / NAME / "1.1.0"
    first, second = log(store)
    assert first["decision"] == second["decision"] == "promoted"
    assert first["from"] is None
    assert second["from"] == first["to"]
    assert second["to"]["digest"] == adapters.digest(store / NAME / "1.1.0")
    assert second["who"]
    assert len(second["gate_sha256"]) == 64
    assert adapters.load(shipped), "a release's own files never change"


def test_the_gate_refuses_and_nothing_moves(store: Path) -> None:
    release(store, "1.0.0")
    releases.promote(store, NAME, "1.0.0")
    release(store, "1.1.0", 0.4)
    assert code(releases.promote, store, NAME, "1.1.0") == "EVA-028"
    pointer = releases.current(store, NAME)
    assert pointer is not None
    assert pointer.version == "1.0.0"
    assert log(store)[-1]["decision"] == "refused"
    assert "figure f1" in log(store)[-1]["reasons"][0]
    assert [row["gate"] for row in releases.rows(store)] == ["passed", "refused"]
    assert not releases.promote(store, NAME, "1.1.0", dry_run=True).passed
    assert len(log(store)) == 2, "a dry run decides nothing"


def test_a_tampered_candidate_is_refused_before_the_gate(store: Path) -> None:
    folder = release(store, "1.0.0")
    (folder / "config.json").write_text('{"answer": 0.6}')
    assert code(releases.promote, store, NAME, "1.0.0") == "RUN-013"
    assert releases.current(store, NAME) is None


def test_rollback_goes_back_step_by_step_or_to_a_version(store: Path) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        release(store, version)
        releases.promote(store, NAME, version)
    before, after = releases.rollback(store, NAME)
    assert (before.version, after.version) == ("1.2.0", "1.1.0")
    releases.promote(store, NAME, "1.2.0")
    assert releases.rollback(store, NAME, "1.0.0")[1].version == "1.0.0"
    assert code(releases.rollback, store, NAME) == "EVA-025"
    assert code(releases.rollback, store, NAME, "1.2.0") == "EVA-025"
    releases.promote(store, NAME, "1.2.0")
    assert code(releases.rollback, store, NAME, "1.1.0") == "EVA-025", "1.1.0 is not before it any more"
    assert [entry["action"] for entry in log(store)].count("rollback") == 2


def test_a_damaged_release_can_be_left_but_not_returned_to(store: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        release(store, version)
        releases.promote(store, NAME, version)
    (store / NAME / "1.1.0" / "config.json").unlink()
    assert releases.rollback(store, NAME)[1].version == "1.0.0"
    releases_before = log(store)
    release(store, "1.2.0")
    releases.promote(store, NAME, "1.2.0")
    (store / NAME / "1.0.0" / "config.json").unlink()
    assert code(releases.rollback, store, NAME) == "RUN-012"
    pointer = releases.current(store, NAME)
    assert pointer is not None
    assert pointer.version == "1.2.0"
    assert len(log(store)) == len(releases_before) + 1


def test_another_release_under_an_earlier_version_is_not_returned_to(store: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        release(store, version)
        releases.promote(store, NAME, version)
    weights = weightless(store.parent / "other", 0.9)
    made = assemble(weights, spec(store.parent, "1.0.0"), store.parent)
    (store / NAME / "1.0.0").rename(store.parent / "moved")
    build(weights, made, store / NAME / "1.0.0", previous=None)
    assert code(releases.rollback, store, NAME) == "EVA-025"


def test_a_signed_release_under_another_version_is_refused(store: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        release(store, version)
        releases.promote(store, NAME, version)
    copy = shutil.copytree(store / NAME / "1.0.0", store / NAME / "9.0.0")
    assert adapters.load(copy), "validly signed"
    assert code(releases.promote, store, NAME, "9.0.0") == "EVA-024"
    shutil.copytree(store / NAME / "1.0.0", store / "other" / "1.0.0")
    assert code(releases.promote, store, "other", "1.0.0") == "EVA-024"
    shutil.rmtree(store / NAME / "1.0.0")
    shutil.copytree(store / NAME / "1.1.0", store / NAME / "1.0.0")
    assert code(releases.rollback, store, NAME) == "EVA-024"
    pointer = releases.current(store, NAME)
    assert pointer is not None
    assert pointer.version == "1.1.0"


def test_a_crash_before_the_pointer_moves_leaves_the_old_release(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(store, "1.0.0")
    releases.promote(store, NAME, "1.0.0")
    release(store, "1.1.0")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails)
        with pytest.raises(OSError, match="space"):
            releases.promote(store, NAME, "1.1.0")
    pointer = releases.current(store, NAME)
    assert pointer is not None
    assert pointer.version == "1.0.0"
    assert releases.promote(store, NAME, "1.1.0").passed


@pytest.mark.parametrize(
    ("name", "version"), [("nobody", "1.0.0"), (NAME, "9.0.0"), ("../demo", "1.0.0"), (NAME, "..")]
)
def test_what_is_not_there(store: Path, name: str, version: str) -> None:
    release(store, "1.0.0")
    assert code(releases.promote, store, name, version) == "EVA-024"
    if name != NAME:
        assert code(releases.rollback, store, name) == "EVA-024"
    assert code(releases.rows, store / "nowhere") == "EVA-024"


def test_the_list_names_what_is_broken(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        release(store, version)
    releases.promote(store, NAME, "1.0.0")
    releases.promote(store, NAME, "1.9.0")
    (store / NAME / "1.10.0" / "release.json").write_text("{}")
    states = {row["version"]: (row["state"], row.get("problem")) for row in releases.rows(store)}
    assert list(states) == ["1.0.0", "1.9.0", "1.10.0"]
    assert states == {"1.0.0": ("earlier", None), "1.9.0": ("current", None), "1.10.0": ("broken", "RUN-011")}
    monkeypatch.delenv("DOYEN_TRUSTED_KEYS")
    get_settings.cache_clear()
    assert {row["problem"] for row in releases.rows(store)} == {"RUN-041", "RUN-011"}
    (store / NAME / "current.json").write_text("")
    assert {row["problem"] for row in releases.rows(store)} == {"RUN-045"}


def test_the_commands(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*arguments: object, status: int = 0) -> dict[str, Any]:
        assert run(["release", *map(str, arguments), "--json"]) == status
        return json.loads(capsys.readouterr().out) if status == 0 else {}

    weights = weightless(tmp_path / "weights")
    (tmp_path / "recipe.toml").write_text("")
    (tmp_path / "release.toml").write_text(SPEC.replace("{digest}", "a" * 64))
    (tmp_path / "figures.json").write_text(json.dumps({"f1": figure(0.6).model_dump()}))

    pair = call("key", tmp_path / "private.pem", tmp_path / "keys" / "mine.pem")
    assert stat.S_IMODE((tmp_path / "private.pem").stat().st_mode) == 0o600
    secret = (tmp_path / "private.pem").read_text()
    call("key", tmp_path / "private.pem", tmp_path / "keys" / "other.pem", status=2)
    assert (tmp_path / "private.pem").read_text() == secret, "a key is never overwritten"
    monkeypatch.setenv(signing.VARIABLE, secret)

    options = ("--spec", tmp_path / "release.toml", "--store", store)
    built = call("build", weights, *options)
    assert built["key_id"] == pair["key_id"]
    assert built["folder"] == str(store / NAME / "1.0.0")
    call("build", weights, *options, "--first", status=2)
    assert "EVA-023" in capsys.readouterr().err
    call("build", weights, *options, "--version", "1.0.1", status=2)
    assert "EVA-022" in capsys.readouterr().err

    folder = store / NAME / "1.0.0"
    verified = call("verify", folder)
    assert verified["verified"]
    assert verified["bases"] == {"encoder": "not on this machine"}
    call("verify", folder, "--vertical", "legal", status=2)
    assert "RUN-019" in capsys.readouterr().err
    assert call("promote", NAME, "1.0.0", "--store", store)["passed"]
    (weights / "config.json").write_text('{"answer": 0.7}')
    call("build", weights, *options, "--version", "1.1.0")
    assert call("gate", store / NAME / "1.1.0", "--current", folder)["current"]["version"] == "1.0.0"
    assert call("promote", NAME, "1.1.0", "--store", store, "--dry-run")["passed"]
    assert [row["state"] for row in call("list", "--store", store)["releases"]] == ["current", "built"]
    monkeypatch.setenv("DOYEN_RELEASES", str(store))
    get_settings.cache_clear()
    call("promote", NAME, "1.1.0")
    assert call("rollback", NAME)["to"] == "1.0.0"

    (folder / "extra.json").write_text("{}")
    call("verify", folder, status=2)
    assert capsys.readouterr().err.startswith("RUN-014: ")
    for arguments in (("list",), ("gate", store / NAME / "1.1.0"), ("verify", store / NAME / "1.1.0")):
        assert run(["release", *map(str, arguments)]) == 0
    assert "not on this machine" in capsys.readouterr().out
    for line in secret.splitlines()[1:-1]:
        everything = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
        assert line.encode() not in everything, "the private key stays where it was"


def test_building_in_place_and_without_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = weightless(tmp_path / "weights")
    (tmp_path / "recipe.toml").write_text("")
    (tmp_path / "release.toml").write_text(SPEC.replace("{digest}", "a" * 64))
    (tmp_path / "figures.json").write_text(json.dumps({"f1": figure(0.6).model_dump()}))
    command = ["release", "build", str(weights), "--spec", str(tmp_path / "release.toml")]
    assert run(command) == 2
    assert "EVA-024" in capsys.readouterr().err
    assert run([*command, "--in-place"]) == 0
    assert "signed with the key" in capsys.readouterr().out
    assert run([*command, "--in-place", "--version", "1.0.1"]) == 2
    assert "nothing changed" in capsys.readouterr().err
    (weights / "MODEL_CARD.md").write_text("# A better card\n")
    assert run([*command, "--in-place", "--version", "1.0.1"]) == 0
    monkeypatch.delenv(signing.VARIABLE)
    monkeypatch.setenv("DOYEN_UNSIGNED_ADAPTERS", str(tmp_path))
    get_settings.cache_clear()
    assert run([*command, "--in-place", "--unsigned", "--first"]) == 0
    assert "not signed" in capsys.readouterr().out
