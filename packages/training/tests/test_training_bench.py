from __future__ import annotations

import json
from typing import Any

import pytest

from doyen_training import bench


def test_both_trainers_do_the_same_work_and_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    monkeypatch.setattr(bench, "SHAPE", bench.SHAPE | small)
    monkeypatch.setattr(bench.random_samples, "__defaults__", (512, (12, 24)))
    figures = bench.throughput(pairs=1, steps=1)
    json.dumps(figures, allow_nan=False)
    for kind, share in (("plain", 1.0), ("short", 0.1)):
        assert figures[kind]["learned_share"] == pytest.approx(share, abs=0.03)
        assert figures[kind]["ratio_vs_trl"] == figures[kind]["ratios"][0] > 0
        assert figures[kind]["tokens_per_s"] > 0
        assert figures[kind]["trl_tokens_per_s"] > 0
        assert {"peak_mb", "trl_peak_mb", "cpu_ratio_vs_trl"} <= set(figures[kind])


def test_trainers_that_see_other_losses_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(model: Any, samples: Any, mine: bool, steps: int) -> dict[str, float]:
        return {"tokens_per_s": 1.0, "tokens_per_cpu_s": 1.0, "peak_mb": 1.0, "loss": float(mine)}

    monkeypatch.setattr(bench, "_run", run)
    with pytest.raises(RuntimeError, match="losses differ"):
        bench._compare(None, 1.0, 1, 1)
