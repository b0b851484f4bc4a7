"""The CUAD protocol's checks before any model is loaded."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from doyen_legal.evaluate.cuad import evaluate_cuad
from doyen_schemas import DoyenError


def test_a_file_without_contracts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8"):
        pass
    with pytest.raises(DoyenError, match=r"LEG-062.*dev\.jsonl\.gz"):
        evaluate_cuad(path)
