"""A tiny adapter on a tiny base, its spec, and keys of the tests' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from doyen_evaluation.release.spec import ReleaseSpec
from doyen_runtime import signing
from doyen_runtime.settings import get_settings
from doyen_schemas import Measurement

CODES = {f"RUN-{number:03d}" for number in (*range(10, 20), *range(40, 45))}


def use_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pair: the private half in the environment, the public half trusted."""
    private, public = signing.generate()
    folder.mkdir(exist_ok=True)
    (folder / "test.pem").write_bytes(public)
    monkeypatch.setenv("DOYEN_TRUSTED_KEYS", str(folder))
    monkeypatch.setenv(signing.VARIABLE, private.decode())
    monkeypatch.delenv("DOYEN_RELEASES", raising=False)
    get_settings.cache_clear()


def adapter(folder: Path, base: Path, strength: float, seed: int = 0) -> Path:
    """A LoRA adapter of the base in ``base`` whose random weights have the size ``strength``."""
    import torch

    from doyen_modeling.base import load_base
    from doyen_modeling.methods import Lora, attach, save_adapter

    loaded = load_base(f"path:{base}")
    model = attach(loaded.model, Lora(rank=2))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * strength
        elif "lora_A" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    save_adapter(model, folder, loaded.ref)
    (folder / "MODEL_CARD.md").write_text("# Card\n")
    return folder


def weightless(folder: Path, answer: float = 0.5) -> Path:
    """A folder for the test vertical, whose probe reads ``answer``."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"answer": answer}))
    (folder / "MODEL_CARD.md").write_text("# Card\n")
    return folder


def figure(value: float, **changes: Any) -> Measurement:
    fields = {
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "n": 20,
        "command": "doyen demo evaluate",
    }
    return Measurement.model_validate(fields | changes)


def spec(root: Path, version: str = "1.0.0", *, base: Path | None = None, **changes: Any) -> ReleaseSpec:
    """The spec of an adapter of ``base``, or of the test vertical's; the recipe stands in ``root``."""
    if not (root / "recipe.toml").exists():
        (root / "recipe.toml").write_text('name = "demo"\n')
    part: dict[str, Any] = {
        "source": "wheel:none==1",
        "weights_sha256": "a" * 64,
        "tokenizer_sha256": "b" * 64,
    }
    if base is not None:
        part = {"source": f"path:{base}", "language_model": "."}
    fields: dict[str, Any] = {
        "name": "demo", "version": version, "vertical": "testkit" if base is None else "demo",
        "requires_runtime": ">=0.1", "bases": {"llm": part}, "licences": {"text": "CC0"}, "seeds": [17],
        "recipes": ["recipe.toml"], "evaluation": {"f1": figure(0.6)}, "primary": ["f1"],
    }  # fmt: skip
    return ReleaseSpec.model_validate(fields | changes)
