"""The CUAD protocol: figures by hand, and the command on a file of the benchmark's format."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from doyen_legal.corpora import Contract, GoldSpan
from doyen_legal.evaluate.cuad import evaluate_cuad, score_extractions
from doyen_legal.extract.types import Clause, Extraction
from doyen_schemas import DoyenError

LAW = "This Agreement is governed by the laws of the State of Ohio."
KEYS = {
    "n_contracts", "aupr", "p_at_80r", "p_at_90r", "micro_f1", "macro_f1", "threshold", "presence_auroc_macro",
    "exact_f1", "hallucinated_quotes", "per_label", "ci95", "sentences_per_second", "seconds",
}  # fmt: skip


def _row(name: str, text: str, spans: list[dict[str, object]]) -> str:
    return json.dumps({"id": name, "text": text, "spans": spans})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "some.jsonl.gz"
    text = f"Supply Agreement\n\nThe parties agree.\n\n{LAW}\n"
    start = text.index(LAW)
    gold = {"label": "Governing Law", "start": start, "end": start + len(LAW), "text": LAW}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(_row("with law", text, [gold]) + "\n" + _row("without", "Nothing is agreed.", []) + "\n")
        file.write(_row("with law", text, [gold]) + "\n")  # the same id again must not be merged
    return path


def test_figures_by_hand() -> None:
    text = f"x {LAW}"
    contracts = [
        Contract("a", text, (GoldSpan("Governing Law", 2, len(text), LAW),)),
        Contract("b", text, ()),
    ]
    right, wrong = Clause("Governing Law", 2, len(text), 0.9), Clause("Insurance", 0, 1, 0.6)
    figures = score_extractions(contracts, [Extraction([right]), Extraction([wrong])], 0.5).figures
    assert figures["micro_f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["exact_f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["per_label"]["Governing Law"] == {"f1": 1.0, "n": 1}
    strict = score_extractions(contracts, [Extraction([right]), Extraction([wrong])], 0.7).figures
    assert (strict["micro_f1"], strict["threshold"]) == (1.0, 0.7)


def test_the_command_prints_one_object_with_every_key(data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doyen_runtime", "legal", "evaluate", "--protocol", "cuad", "--data", str(data), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures = json.loads(done.stdout)
    assert set(figures) >= KEYS
    assert figures["n_contracts"] == 3
    assert figures["per_label"]["Governing Law"] == {"f1": 1.0, "n": 2}


def test_limit_and_an_empty_file(data: Path, tmp_path: Path) -> None:
    assert evaluate_cuad(data, limit=1).figures["n_contracts"] == 1
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(DoyenError, match="LEG-062"):
        evaluate_cuad(empty)
