"""Training that diverges stops, instead of shipping NaN."""

from __future__ import annotations

from pathlib import Path

import pytest

from doyen_legal.corpora import Contract, GoldSpan
from doyen_legal.extract import train as training
from doyen_schemas import DoyenError

RECIPE = Path(training.__file__).parent.parent / "recipes" / "extractor.toml"
TEXT = "This Agreement is governed by the laws of the State of Ohio."


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(training, "batch_loss", lambda *_: (torch.tensor(float("nan")), 0.0, 0.0))
    recipe = training.load_recipe(RECIPE)
    contract = Contract("c", TEXT, (GoldSpan("Governing Law", 0, len(TEXT), TEXT),))
    with pytest.raises(DoyenError, match="LEG-061: the loss is nan at step 0"):
        training.train([contract], recipe, tmp_path)
    assert not (tmp_path / "tagger.safetensors").exists()
