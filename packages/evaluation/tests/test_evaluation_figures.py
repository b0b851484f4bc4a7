from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from doyen_evaluation.classification import reliability
from doyen_evaluation.figures import (
    FigureFiles,
    precision_recall_grid,
    read_events,
    reliability_diagram,
    training_curves,
)
from doyen_evaluation.spans import Prediction, curve, match_spans
from doyen_schemas import DoyenError


def titles(files: FigureFiles) -> str:
    """All text of the SVG; the PNG must be one."""
    assert files.png.read_bytes().startswith(b"\x89PNG")
    return " ".join(ET.parse(files.svg).getroot().itertext())


def test_precision_recall_grid(tmp_path: Path) -> None:
    labels = [f"Label number {i} with a rather long name" if i == 0 else f"Label {i}" for i in range(8)]
    rng = np.random.default_rng(0)
    gold, found = [], []
    for label in labels:
        for i in range(12):
            text = f"{label} span {i} words"
            gold.append(Prediction(label, 0, len(text), text, 1.0))
            found.append(
                Prediction(
                    label, 0, len(text), text if rng.random() < 0.7 else f"wrong {i}", float(rng.random())
                )
            )
    matches = match_spans({"c": gold}, {"c": found})
    curves = {label: curve(matches, label) for label in labels}
    files = precision_recall_grid(
        curves, tmp_path / "pr", counts={"Label 1": 12}, marks={"Label 1": (0.5, 0.8)}
    )
    text = titles(files)
    assert "Label 1 (12)" in text
    assert "Label number 0 with a rath…" in text
    first = files.svg.read_bytes()
    assert (
        precision_recall_grid(
            curves, tmp_path / "pr", counts={"Label 1": 12}, marks={"Label 1": (0.5, 0.8)}
        ).svg.read_bytes()
        == first
    )


def test_training_curves_from_a_log(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    events = [{"step": s, "loss": 3 / (1 + s / 50), "time": s * 2.0} for s in range(200)]
    events += [{"step": s, "dev_f1": s / 300, "note": "epoch"} for s in range(0, 200, 50)]
    log.write_text("\n".join(json.dumps(e) for e in events) + "\n\n", encoding="utf-8")
    text = titles(training_curves(read_events(log), tmp_path / "training"))
    assert "loss" in text
    assert "dev_f1" in text
    assert "time" not in text
    assert "dev_f1" not in titles(training_curves(read_events(log), tmp_path / "loss", series=["loss"]))


def test_reliability_diagram(tmp_path: Path) -> None:
    bins = reliability([0, 0, 0, 1], [[0.8, 0.2]] * 4, bins=10)
    assert "ECE 0.050, n = 4" in titles(reliability_diagram(bins, tmp_path / "deep" / "reliability"))


def test_bad_input_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"step": 1}\nnot json\n', encoding="utf-8")
    cases = [
        ("EVA-006", lambda: precision_recall_grid({}, tmp_path / "x")),
        ("EVA-006", lambda: training_curves([{"step": 1, "note": "x"}], tmp_path / "x")),
        ("EVA-006", lambda: reliability_diagram([], tmp_path / "x")),
        ("EVA-007", lambda: read_events(tmp_path / "missing.jsonl")),
        ("EVA-007", lambda: read_events(broken)),
    ]
    for code, call in cases:
        with pytest.raises(DoyenError) as caught:
            call()
        assert caught.value.code == code


def test_importing_the_package_loads_no_drawing_or_learning_library() -> None:
    program = (
        "import sys, doyen_evaluation.figures, doyen_evaluation.spans, doyen_evaluation.cards, "
        "doyen_evaluation.classification; print([m for m in ('matplotlib', 'sklearn', 'jinja2', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
