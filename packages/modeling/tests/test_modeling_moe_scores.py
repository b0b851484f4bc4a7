from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from doyen_modeling.base import load_base
from doyen_modeling.moe.cli import app
from doyen_modeling.moe.layers import expert_modules, routers
from doyen_modeling.moe.scores import load_scores, score_experts
from doyen_modeling.moe.texts import read_samples, sample_tokens
from doyen_schemas import DoyenError
from doyen_testkit.models import MOE_FAMILIES, tiny_llama, tiny_moe, tiny_tokenizer

SAMPLES = [[1, 40, 41, 42, 43], [5, 6], [7, 8, 9]]


def by_hand(model: Any, samples: list[list[int]]) -> dict[int, list[torch.Tensor]]:
    """For each layer and sample the routers' own (weights, indices), from a hook on the router."""
    found: dict[int, list[torch.Tensor]] = {layer: [] for layer in routers(model)}
    handles = [
        router.register_forward_hook(lambda _, __, out, layer=layer: found[layer].append((out[1], out[2])))
        for layer, router in routers(model).items()
    ]
    with torch.inference_mode():
        for ids in samples:
            model(input_ids=torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("family", MOE_FAMILIES)
def test_scores_are_the_routers_choices_in_every_architecture(tmp_path: Path, family: str) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path, family)}").model
    pooled = score_experts(model, SAMPLES, batch_size=2)
    averaged = score_experts(model, SAMPLES, batch_size=2, pooling="per-sample")
    layers = [1] if family.startswith("deepseek") else [0, 1]
    assert list(pooled.token) == list(pooled.gate) == layers
    chosen = by_hand(model, SAMPLES)
    for layer in layers:
        shares = torch.stack([torch.bincount(i.flatten(), minlength=8) / i.numel() for _, i in chosen[layer]])
        gates = torch.stack(
            [torch.zeros(8).index_add(0, i.flatten(), w.flatten()) / len(i) for w, i in chosen[layer]]
        ) / getattr(model.config, "routed_scaling_factor", 1.0)
        lengths = torch.tensor([[5.0], [2.0], [3.0]])
        for scores, weights in ((pooled, lengths / 10), (averaged, torch.full((3, 1), 1 / 3))):
            for kind, rows in (("token", shares), ("gate", gates)):
                found = torch.tensor([scores.of(kind)[layer][expert] for expert in range(8)])
                torch.testing.assert_close(found, (rows * weights).sum(0), atol=2e-6, rtol=0)
        assert sum(pooled.token[layer].values()) == pytest.approx(1)
    assert (pooled.about["tokens"], pooled.about["samples"]) == (10, 3)


def test_no_hook_stays_behind(tmp_path: Path) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path)}").model
    score_experts(model, SAMPLES)
    assert not any(module._forward_hooks for module in expert_modules(model).values())


def test_a_dense_model_and_empty_samples_are_errors(tmp_path: Path) -> None:
    dense = load_base(f"path:{tiny_llama(tmp_path / 'dense')}").model
    with pytest.raises(DoyenError, match="MOD-050"):
        score_experts(dense, SAMPLES)
    with pytest.raises(DoyenError, match="MOD-051"):
        score_experts(load_base(f"path:{tiny_moe(tmp_path / 'moe')}").model, [[]])


def test_the_command_scores_conversations_and_texts(tmp_path: Path) -> None:
    folder = tiny_moe(tmp_path / "base")
    data = tmp_path / "records.jsonl.gz"
    turns = [
        {"role": "user", "content": "Is this agreement assigned?"},
        {"role": "assistant", "content": "NONE"},
    ]
    lines = [{"id": "a", "messages": turns}, {"text": "Either party may terminate this agreement."}]
    data.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in lines).encode()))
    args = ["score", "--base", f"path:{folder}", "--data", str(data), "--out", str(tmp_path / "scores.json")]
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    scores = load_scores(tmp_path / "scores.json")
    assert (printed["layers"], printed["samples"], printed["pooling"]) == (2, 2, "tokens")
    assert scores.about["tokens"] == printed["tokens"] > 20
    assert all(sum(row.values()) == pytest.approx(1, abs=1e-4) for row in scores.token.values())
    again = CliRunner().invoke(
        app, [*args, "--pooling", "per-sample", "--tokens", "1"], catch_exceptions=False
    )
    assert "1 samples" in again.stdout


@pytest.mark.parametrize(
    "content",
    [b"", b'{"text": "a"}\nnot json\n', b'{"messages": 3}', b'{"id": 1}', b"\xff\xfe", b"\x1f\x8bbroken"],
)
def test_a_broken_record_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "records.jsonl").write_bytes(content)
    with pytest.raises(DoyenError) as raised:
        read_samples(tmp_path / "records.jsonl")
    assert raised.value.code == "MOD-051"
    if b"not json" in content:
        assert "line 2" in raised.value.message


def test_samples_are_drawn_until_the_limit_and_cut(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    texts = ["This agreement is governed by the laws of the State of New York."] * 5
    drawn = list(sample_tokens(texts, tokenizer, limit=10, max_length=6, seed=0))
    assert [len(ids) for ids in drawn] == [6, 6]
    tokenizer.chat_template = None
    (ids,) = sample_tokens(
        [[{"role": "user", "content": "by the"}]], tokenizer, limit=9, max_length=9, seed=0
    )
    assert tokenizer.decode(ids) == "by the"


@pytest.mark.parametrize(
    "content",
    [
        "[]", "{}", "{", '{"token_scores": [1]}', '{"token_scores": {"a": {"0": 1}}}',
        '{"token_scores": {"1": {"0": -0.1}}}', '{"gate_scores": {"1": {"0": NaN}}}',
        '{"gate_scores": {"1": {"0": null}}}',
    ],
)  # fmt: skip
def test_a_broken_score_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(DoyenError, match="MOD-052"):
        load_scores(tmp_path / "scores.json")
    with pytest.raises(DoyenError, match="MOD-051"):
        load_scores(tmp_path / "nowhere.json")
