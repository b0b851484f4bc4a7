"""What may stand in the tree: readable members, no machine's paths, no weights beyond the budget."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from doyen_runtime import adapters

ROOT = Path(__file__).parents[2]
MEMBERS = sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/pyproject.toml"))
TOP = {
    ".ci", ".gitignore", ".python-version", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
    "infra", "packages", "pyproject.toml", "shared", "tests", "uv.lock", "verticals",
}  # fmt: skip
TEXT = {".pem", ".py", ".md", ".toml", ".yaml", ".yml", ".json", ".html", ".css", ".js", ".sh", ".txt", ""}
WEIGHTS = {".safetensors", ".onnx", ".npz", ".npy"}
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt"}
# Put together, so that this file does not hold what it forbids.
FORBIDDEN = {
    "a path of someone's machine": re.compile(r"(?<![\w.}])/(?:home|root|work|Users)" + r"/\w"),
    "a package registry's host": re.compile(r"\b(?:pypi" + r"\.org|files\.pythonhosted|download\.pytorch)"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE " + r"KEY-----\s*\n\s*[A-Za-z0-9+/]{32}"),
    "unfinished work": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b"),
}


def tracked() -> list[Path]:
    """The files under version control; skipped outside a checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_top_level_is_fixed() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_is_whole(member: str) -> None:
    (package,) = (ROOT / member / "src").iterdir()
    assert package.name == f"doyen_{Path(member).name}"
    assert (package / "py.typed").is_file()
    assert (package / "__init__.py").read_text().startswith('"""')
    assert list((ROOT / member / "tests").glob("test_*.py"))
    readme = (ROOT / member / "README.md").read_text()
    assert readme.startswith(f"# {package.name.replace('_', '-')}\n")
    assert len(readme) > 300


def test_tests_have_names_of_their_own() -> None:
    """pytest's importlib mode allows twins, but a report that names `test_cli.py` should say which."""
    names = [path.name for path in tracked() if path.name.startswith("test_")]
    assert sorted(set(names)) == sorted(names)


def test_nothing_tracked_is_private_or_unfinished() -> None:
    found = []
    for path in tracked():
        if path.suffix not in TEXT or path.name == "uv.lock":
            continue
        text = path.read_text(encoding="utf-8")
        for what, pattern in FORBIDDEN.items():
            found += [
                f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {what}"
                for match in pattern.finditer(text)
            ]
    assert found == []


def test_weights_are_few_and_not_pickled() -> None:
    files = tracked()
    assert [path.name for path in files if path.suffix in PICKLES] == []
    assert sum(path.stat().st_size for path in files if path.suffix in WEIGHTS) < 60_000_000


@pytest.mark.parametrize("vertical", sorted(path.name for path in (ROOT / "verticals").iterdir()))
def test_the_shipped_adapter_is_what_its_release_says(vertical: str) -> None:
    folder = ROOT / "verticals" / vertical / "src" / f"doyen_{vertical}" / "adapter"
    adapter = adapters.load(folder, vertical=vertical)
    assert any(name.endswith(".safetensors") for name in adapter.release.files)
    assert "MODEL_CARD.md" in adapter.release.files
    assert adapter.release.licences
    assert adapter.release.evaluation
    assert adapter.release.primary
    assert adapter.release.probes
    assert adapter.release.signature
    gate = json.loads((folder.parent / "adapter.gate.json").read_text())
    assert gate["passed"]
    assert gate["candidate"]["digest"] == adapter.digest, "the gate's result is of another release"
    ignored = {path for path in folder.rglob("*") if path.is_file()} - set(tracked())
    assert not ignored, f"in the folder, but not under version control: {ignored}"
