"""The README files' Python blocks run, one after the other, as a reader would type them.

A block that needs a network or a training run is marked ```` ```python notest ````.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READMES = sorted(ROOT.glob("README.md")) + sorted(ROOT.glob("*/*/README.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks(readme: Path) -> list[tuple[int, str]]:
    """The line and source of every block that runs."""
    text = readme.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in BLOCK.finditer(text)]


@pytest.mark.parametrize("readme", [r for r in READMES if blocks(r)], ids=lambda r: str(r.relative_to(ROOT)))
def test_python_blocks_run(readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from doyen_finance.samples import REPORT
    from doyen_legal import samples

    monkeypatch.chdir(tmp_path)
    # What the examples call `contract.pdf` and `annual-report.pdf` are samples here.
    shutil.copy(samples.FOLDER / "saas-agreement.pdf", tmp_path / "contract.pdf")
    shutil.copy(REPORT, tmp_path / "annual-report.pdf")
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "cache"))
    namespace: dict[str, object] = {"__name__": "readme"}
    for line, source in blocks(readme):
        # Blank lines in front: a traceback then names the README's own line.
        exec(compile("\n" * line + source, str(readme), "exec"), namespace)


@pytest.mark.parametrize("readme", READMES, ids=lambda r: str(r.relative_to(ROOT)))
def test_links_lead_somewhere(readme: Path) -> None:
    broken = [
        link
        for link in LINK.findall(readme.read_text(encoding="utf-8"))
        if not (readme.parent / link).exists()
    ]
    assert broken == []
