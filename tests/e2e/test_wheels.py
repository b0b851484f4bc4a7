"""The built wheels in a clean environment: what a law firm gets from `pip install doyen-legal`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRIVATE = "doyen_testkit"

# Third-party packages are the development environment's (torch is large); no connection leaves the machine.
OFFLINE = """
import socket

_connect = socket.socket.connect

def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise ConnectionRefusedError(f"the test has no network: {address}")
    return _connect(self, address)

socket.socket.connect = connect
"""
ORIGINS = """
import importlib, importlib.metadata, json
names = [d.name.replace("-", "_") for d in importlib.metadata.distributions() if d.name.startswith("doyen")]
print(json.dumps({name: importlib.import_module(name).__file__ for name in names}))
"""
REQUIREMENTS = """
from importlib.metadata import distributions, version
from packaging.requirements import Requirement
for distribution in distributions():
    if distribution.name.startswith("doyen"):
        for line in distribution.requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert needed.specifier.contains(version(needed.name), prereleases=True), (distribution.name, line)
"""
REVIEW = """
import sys
from doyen_legal import Reviewer
assert "torch" not in sys.modules
report = Reviewer(side="customer", playbook="saas").review(sys.argv[1])
print(report.model_dump_json())
"""
TEXT = """
import sys
from doyen_documents import read
sys.stdout.buffer.write(read(sys.argv[1]).text.encode())
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("wheels"),
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv builds the wheels; it is not on PATH"),
]


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheels, a folder to work in and an environment without a cache."""

    folder: Path
    bin: Path
    wheels: dict[str, Path]
    env: dict[str, str]

    def run(self, *command: str | Path) -> str:
        """A command of the installation, away from the checkout; its standard output."""
        done = subprocess.run(
            [self.bin / str(command[0]), *map(str, command[1:])],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def sample(self) -> Path:
        (path,) = self.bin.parent.glob("lib/python*/site-packages/doyen_legal/samples/saas-agreement.pdf")
        return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("wheels")
    _uv("build", "--all-packages", "--wheel", "--out-dir", folder / "dist")
    wheels = {path.name.split("-")[0]: path for path in (folder / "dist").glob("*.whl")}
    venv = folder / "venv"
    _uv("venv", "--python", sys.executable, venv)
    released = [path for name, path in wheels.items() if name != PRIVATE]
    _uv("pip", "install", "--no-deps", "--offline", "--python", venv, *released)
    (site,) = venv.glob("lib/python*/site-packages")
    _third_parties(folder / "third-party")
    (site / "third-party.pth").write_text(f"{folder / 'third-party'}\n")
    (site / "sitecustomize.py").write_text(OFFLINE)
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("DOYEN_", "PYTHON"))}
    env = keep | {
        "DOYEN_CACHE": str(folder / "cache"), "DOYEN_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return Installation(folder, venv / "bin", wheels, env)


def test_every_module_comes_from_its_wheel(installed: Installation) -> None:
    origins = json.loads(installed.run("python", "-c", ORIGINS))
    assert set(origins) == set(installed.wheels) - {PRIVATE}
    strangers = {name: file for name, file in origins.items() if str(installed.bin.parent) not in file}
    assert not strangers
    installed.run("python", "-c", REQUIREMENTS)


def test_the_legal_wheel_holds_the_released_adapter(installed: Installation) -> None:
    with zipfile.ZipFile(installed.wheels["doyen_legal"]) as wheel:
        inside = [
            name for name in wheel.namelist() if name.startswith("doyen_legal/adapter/") and name[-1] != "/"
        ]
        release = json.loads(wheel.read("doyen_legal/adapter/release.json"))
        assert {name.removeprefix("doyen_legal/adapter/") for name in inside} == {
            *release["files"], "release.json",
        }  # fmt: skip
        for name, listed in release["files"].items():
            content = wheel.read(f"doyen_legal/adapter/{name}")
            assert hashlib.sha256(content).hexdigest() == listed["sha256"], name
    assert installed.wheels["doyen_legal"].stat().st_size < 60_000_000


def test_wheels_hold_package_files_alone(installed: Installation) -> None:
    for name, path in installed.wheels.items():
        with zipfile.ZipFile(path) as wheel:
            tops = {entry.split("/")[0] for entry in wheel.namelist()}
            assert tops == {name, f"{name}-0.1.0.dist-info"}
            assert f"{name}/py.typed" in wheel.namelist()
            assert not [e for e in wheel.namelist() if "/tests/" in e or e.endswith((".pyc", ".pkl", ".pt"))]


def test_the_command_reviews_a_contract(installed: Installation) -> None:
    out = installed.folder / "reports"
    printed = json.loads(installed.run("doyen", "legal", "review", installed.sample, "--out", out, "--json"))
    (review,) = printed["reviews"]
    assert review["contract_type"] == "saas"
    written = {name: Path(path) for name, path in review["written"].items()}
    assert {"json", "csv", "html", "docx", "pdf", "ics"} <= set(written)
    assert all(path.stat().st_size > 0 for path in written.values())
    report = json.loads(written["json"].read_text(encoding="utf-8"))
    _check_evidence(report, installed.run("python", "-c", TEXT, installed.sample))
    states = {stage["name"]: stage["state"] for stage in report["stages"]}
    assert states["llm"] == "absent", "no base was pulled"
    assert states["extract"] == states["check"] == states["playbook"] == "ran"
    assert report["versions"]["doyen-legal"] == "0.1.0"


def test_python_reviews_a_contract(installed: Installation) -> None:
    report = json.loads(installed.run("python", "-c", REVIEW, installed.sample))
    _check_evidence(report, installed.run("python", "-c", TEXT, installed.sample))
    assert report["side"] == "customer"
    assert report["priority"]["reasons"]


def _check_evidence(report: dict, text: str) -> None:
    """Findings of several kinds; every quote verbatim, where it says, on a page, with boxes."""
    assert {"clause", "entity", "fault", "rule"} <= {finding["kind"] for finding in report["findings"]}
    labels = {finding["label"] for finding in report["findings"]}
    assert {"Parties", "Governing Law"} <= labels
    for finding in report["findings"]:
        assert finding["kind"] == "missing" or finding["evidence"], finding["label"]
        for evidence in finding["evidence"]:
            assert evidence["quote"] == text[evidence["start"] : evidence["end"]]
            assert evidence["page"] >= 1
            assert evidence["boxes"]


def _uv(*command: str | Path) -> None:
    done = subprocess.run(
        ["uv", *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


def _third_parties(folder: Path) -> None:
    """Links to all that is installed here, but the workspace's own members."""
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("doyen", "__editable__", "_doyen")) and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)
