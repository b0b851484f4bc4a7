"""Every error code has one meaning, stands in its member's README, and is raised in a test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"(DOC|RUN|MOD|TRN|DAT|EVA|GRA|RET|LEG|MED|FIN)-\d{3}")
OWNERS = {
    "DOC": "shared/documents", "RUN": "shared/runtime", "MOD": "packages/modeling", "TRN": "packages/training",
    "DAT": "packages/data", "EVA": "packages/evaluation", "RET": "packages/retrieval", "GRA": "packages/graph",
    "LEG": "verticals/legal", "MED": "verticals/medical",
    "FIN": "verticals/finance",
}  # fmt: skip
# The test vertical's own codes, which no user sees.
PRIVATE = re.compile(r"RUN-9\d\d")
# A member may report another's error where it is that member's subject.
_SUITE = {"shared/testkit/src/doyen_testkit/methods.py"}  # the methods' conformance suite expects them
GUESTS = {
    **dict.fromkeys(("MOD-011", "MOD-012", "MOD-043", "MOD-045", "MOD-047"), _SUITE),
    "DOC-018": {"verticals/finance/src/doyen_finance/evaluate/ixbrl.py"},
    "MOD-002": {"verticals/finance/src/doyen_finance/scans/read.py"},
    "MOD-032": {"verticals/legal/src/doyen_legal/risk/nli.py"},
    "RUN-008": {"shared/testkit/src/doyen_testkit/vertical.py"},
}


@cache
def codes() -> dict[str, set[str]]:
    """Each code that is raised, with the files that raise it."""
    found: dict[str, set[str]] = {}
    for file in sorted(ROOT.glob("*/*/src/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.setdefault(node.value, set()).add(file.relative_to(ROOT).as_posix())
    return {code: files for code, files in found.items() if not PRIVATE.fullmatch(code)}


def test_codes_are_found() -> None:
    assert len(codes()) > 90


@pytest.mark.parametrize("code", sorted(codes()))
def test_a_code_is_raised_by_its_owner_alone(code: str) -> None:
    owner = OWNERS[code[:3]] + "/"
    strangers = {file for file in codes()[code] if not file.startswith(owner)}
    assert strangers <= GUESTS.get(code, set())


@pytest.mark.parametrize("prefix", OWNERS)
def test_the_readme_has_one_row_for_every_code(prefix: str) -> None:
    readme = (ROOT / OWNERS[prefix] / "README.md").read_text()
    documented = _rows(readme)
    assert len(documented) == len(set(documented)), "a code stands in two rows"
    raised = {code for code in codes() if code.startswith(prefix)}
    # The command's own codes are made where exceptions are caught, not raised.
    assert raised <= set(documented), f"undocumented: {sorted(raised - set(documented))}"
    mentioned = {
        match[0]
        for file in (ROOT / OWNERS[prefix]).glob("src/**/*.py")
        for match in CODE.finditer(file.read_text())
    }
    assert set(documented) <= mentioned, f"documented, but not in the code: {set(documented) - mentioned}"


@pytest.mark.parametrize("code", sorted(codes()))
def test_a_code_is_raised_in_a_test(code: str) -> None:
    assert code in _tests()


def _rows(readme: str) -> list[str]:
    """Codes of the table rows' first cells; ``RUN-010 … RUN-016`` means all between."""
    found: list[str] = []
    for cell in re.findall(r"^\|([^|]*)\|", readme, re.M):
        for match in re.finditer(rf"(?P<first>{CODE.pattern})(?: … (?P<last>{CODE.pattern}))?", cell):
            first, last = match["first"], match["last"] or match["first"]
            found += [f"{first[:4]}{number:03d}" for number in range(int(first[4:]), int(last[4:]) + 1)]
    return found


@cache
def _tests() -> str:
    files = [*ROOT.glob("*/*/tests/**/*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / f for f in _SUITE)]
    return "\n".join(file.read_text() for file in files if file != Path(__file__))
