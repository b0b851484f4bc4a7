from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from typer.testing import CliRunner

from doyen_modeling.base import load_base
from doyen_modeling.methods import Experts, attach
from doyen_modeling.moe import convert
from doyen_modeling.moe.cli import app
from doyen_modeling.moe.convert import active_parameters, probe_logits
from doyen_modeling.moe.layers import expert_modules
from doyen_modeling.moe.scores import score_experts
from doyen_modeling.moe.upcycle import replicate, upcycle, widen_shared
from doyen_schemas import DoyenError
from doyen_testkit.models import MOE_FAMILIES, tiny_llama, tiny_moe

DENSE = {
    "llama": {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e4, "factor": 8.0, "low_freq_factor": 1.0,
                                  "high_freq_factor": 4.0, "original_max_position_embeddings": 32}},
    "mistral": {"sliding_window": 8, "head_dim": 16},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 16},
}  # fmt: skip


def dense(kind: str, seed: int = 0, **more: Any) -> Any:
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        kind, vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.2, **DENSE.get(kind, {}) | more,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    # Biases and norms start at 0 and 1: every tensor must count.
    for parameter in model.parameters():
        if parameter.ndim == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model


def difference(one: Any, other: Any) -> float:
    return float((probe_logits(one) - probe_logits(other)).abs().max() / probe_logits(one).abs().max())


@pytest.mark.parametrize(
    ("kind", "target"),
    [("llama", "mixtral"), ("mistral", "mixtral"), ("qwen2", "qwen2_moe"), ("qwen3", "qwen3_moe")],
)
@pytest.mark.parametrize(("experts", "top_k"), [(4, 2), (3, 1)])
def test_an_upcycled_model_gives_the_dense_models_output(
    kind: str, target: str, experts: int, top_k: int
) -> None:
    model = dense(kind)
    moe = upcycle(model, experts, top_k)
    assert moe.config.model_type == target
    assert difference(model, moe) < 1e-5
    assert all(module.down_proj.shape[0] == experts for module in expert_modules(moe).values())
    # Tokens spread, and every chosen expert learns something else than the others.
    scores = score_experts(moe, [list(range(3, 120))]).token
    assert sum(score > 0 for score in scores[0].values()) >= 2
    moe.train()
    moe(input_ids=torch.arange(3, 120)[None], labels=torch.arange(3, 120)[None]).loss.backward()
    gradients = expert_modules(moe)[0].down_proj.grad
    assert not torch.allclose(gradients[0], gradients[1])


def test_what_cannot_be_upcycled_is_an_error() -> None:
    for model in (dense("gpt2", n_embd=32, n_layer=2, n_head=4), dense("llama", mlp_bias=True)):
        with pytest.raises(DoyenError, match="MOD-056"):
            upcycle(model, 4, 2)
    odd = dense("llama")
    odd.model.layers[0].register_buffer("extra", torch.zeros(1))
    with pytest.raises(DoyenError, match="MOD-056"):
        upcycle(odd, 4, 2)


@pytest.mark.parametrize(("experts", "top_k"), [(1, 1), (4, 5), (4, 0)])
def test_impossible_numbers_of_experts_are_an_error(experts: int, top_k: int) -> None:
    with pytest.raises(DoyenError, match="MOD-057"):
        upcycle(dense("llama"), experts, top_k)


@pytest.mark.parametrize("family", MOE_FAMILIES)
def test_copies_of_experts_change_nothing_at_the_start_and_may_part(tmp_path: Path, family: str) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path, family)}").model
    wide = replicate(model, 2, noise=0.1)
    assert difference(model, wide) < 1e-5
    module = next(iter(expert_modules(wide).values()))
    assert module.down_proj.shape[0] == 16
    assert not torch.allclose(module.down_proj[0], module.down_proj[1])
    assert wide.config.num_experts_per_tok == 4


def test_sigmoid_gates_without_normalisation_are_halved(tmp_path: Path) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path, 'deepseek_v3')}").model
    model.config.norm_topk_prob = False
    plain = AutoModelForCausalLM.from_config(model.config).eval()
    plain.load_state_dict(model.state_dict())
    assert difference(plain, replicate(plain, 2)) < 1e-5


@pytest.mark.parametrize(("family", "width"), [("qwen2_moe", 24), ("deepseek_v2", 16), ("deepseek_v3", 32)])
def test_a_wider_shared_expert_changes_nothing_at_the_start_and_learns(
    tmp_path: Path, family: str, width: int
) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path, family)}").model
    wide = widen_shared(model, width)
    assert difference(model, wide) == pytest.approx(0, abs=1e-6)
    grown = [
        name for name, tensor in wide.state_dict().items() if tensor.shape != model.state_dict()[name].shape
    ]
    assert grown
    assert all(".shared_expert" in name for name in grown)
    wide(input_ids=torch.arange(3, 60)[None], labels=torch.arange(3, 60)[None]).loss.backward()
    down = dict(wide.named_parameters())[next(n for n in grown if n.endswith("down_proj.weight"))]
    assert down.grad[:, -width:].any()


def test_extensions_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    mixtral = load_base(f"path:{tiny_moe(tmp_path / 'a', 'mixtral')}").model
    deepseek = load_base(f"path:{tiny_moe(tmp_path / 'b', 'deepseek_v3')}").model
    with pytest.raises(DoyenError, match="MOD-056"):
        widen_shared(mixtral, 8)
    with pytest.raises(DoyenError, match="MOD-057"):
        widen_shared(deepseek, 10)
    with pytest.raises(DoyenError, match="MOD-057"):
        replicate(mixtral, 1)
    deepseek.config.n_group = 2
    with pytest.raises(DoyenError, match="MOD-056"):
        replicate(deepseek, 2)


def test_the_commands_write_bases(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "dense")
    args = [
        "upcycle",
        "--base",
        f"path:{folder}",
        "--experts",
        "4",
        "--top-k",
        "2",
        "--out",
        str(tmp_path / "moe"),
    ]
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    made = json.loads(result.stdout)
    assert made["architecture"] == "MixtralForCausalLM"
    assert made["difference"] < 1e-5
    assert made["active"] < made["parameters"]
    base, moe = load_base(f"path:{folder}"), load_base(f"path:{tmp_path / 'moe'}")
    assert moe.ref.weights_sha256 == made["weights_sha256"]
    assert moe.ref.tokenizer_sha256 == base.ref.tokenizer_sha256
    assert difference(base.model, moe.model) < 1e-5
    attach(moe.model, Experts(experts={0: (2,)}))

    args = ["extend", "--base", f"path:{tmp_path / 'moe'}", "--copies", "2", "--out", str(tmp_path / "wide")]
    printed = CliRunner().invoke(app, args, catch_exceptions=False).stdout
    assert "MixtralForCausalLM" in printed
    assert active_parameters(load_base(f"path:{tmp_path / 'wide'}").model) > made["active"]
    with pytest.raises(DoyenError, match="MOD-058"):
        CliRunner().invoke(app, args, catch_exceptions=False)
    assert CliRunner().invoke(app, [*args, "--shared", "8"]).exit_code == 2
    qwen = tiny_moe(tmp_path / "qwen")
    args = ["extend", "--base", f"path:{qwen}", "--shared", "8", "--out", str(tmp_path / "shared"), "--json"]
    assert json.loads(CliRunner().invoke(app, args, catch_exceptions=False).stdout)["difference"] < 1e-5


def test_a_checkpoint_with_another_output_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "dense")

    def broken(model: Any) -> Any:
        moe = upcycle(model, 4, 2)
        with torch.no_grad():
            expert_modules(moe)[0].down_proj[0] *= 1.01
        return moe

    with pytest.raises(DoyenError, match="MOD-059"):
        convert.convert(f"path:{folder}", tmp_path / "moe", broken)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense"]
