"""Three sample contracts with planted faults, written for this package (made by infra/samples/make_samples.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent


class Planted(NamedTuple):
    """One thing that is wrong on purpose.

    ``kind`` is a kind of the consistency checker or ``playbook``; ``quote`` stands exactly once in ``file``.
    """

    file: str
    kind: str
    quote: str
    why: str


def contracts() -> list[Path]:
    """The sample files, sorted: an NDA (DOCX), a SaaS agreement (PDF), a supply agreement (DOCX and PDF)."""
    return sorted([*FOLDER.glob("*.docx"), *FOLDER.glob("*.pdf")])


def planted() -> list[Planted]:
    """Everything that is wrong in the samples, file by file in reading order of the list."""
    rows = json.loads((FOLDER / "planted.json").read_text(encoding="utf-8"))["planted"]
    return [Planted(**row) for row in rows]
