"""The LoRA adapter's records and its calibration on dev; ``doyen train`` itself does the training."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_finance.sentiment import linear, llm
from doyen_finance.sentiment.adapter import unreadable
from doyen_finance.sentiment.build import Corpora, add_model, read_corpora, write_config
from doyen_finance.sentiment.corpora import Headline
from doyen_finance.sentiment.scoring import CONFIG, KINDS, Model

DEV_RECORDS: Final = 200


def write_records(data: Path, out: Path, seed: int = 17) -> dict[str, int]:
    """Write ``train.jsonl`` and the first of dev to ``out`` in a drawn order; returns their numbers."""
    import doyen_data

    corpora = read_corpora(data)
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    counts = {}
    for name, tweets, headlines in (
        ("train", corpora.train("text"), corpora.train("target")),
        ("dev", corpora.dev("text"), corpora.dev("target")),
    ):
        records = [llm.record(t, f"tweet-{i}") for i, t in enumerate(tweets)]
        records += [llm.record(t, f"headline-{i}") for i, t in enumerate(headlines)]
        rng.shuffle(records)
        records = records[:DEV_RECORDS] if name == "dev" else records
        doyen_data.write_records(out / f"{name}.jsonl", records)
        counts[name] = len(records)
    return counts


def add_lora(adapter: Path, out: Path, data: Path, limit: int | None = None) -> dict[str, Any]:
    """Copy the adapter to ``sentiment-lora`` beside ``out``; note blend and dev figures in ``sentiment.json``.

    ``limit`` calibrates on the first dev targets of each kind. Raises FIN-045, MOD-002, MOD-010, MOD-011.
    """
    copied = out.parent / llm.PART
    shutil.copytree(adapter, copied, dirs_exist_ok=True)
    try:
        config: dict[str, Any] = json.loads((out / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(out / CONFIG, error) from error
    whole = read_corpora(data)
    corpora = Corpora(
        [], whole.dev("text")[:limit], [], [Headline("", tuple(whole.dev("target")[:limit]))], 0, whole.sha256
    )
    asked = llm.load(copied)
    logits = {kind: llm.logits(asked, corpora.dev(kind)) for kind in KINDS}
    floor = {
        kind: linear.load(out / f"linear-{kind}.safetensors").logits(corpora.dev(kind)) for kind in KINDS
    }
    alone = {kind: np.zeros_like(floor[kind]) for kind in KINDS}
    add_model(config, Model.lora, logits, alone, corpora, bias=True)
    config["lora"] = {"n_dev": {kind: len(corpora.dev(kind)) for kind in KINDS}}
    write_config(config, out)
    return config
