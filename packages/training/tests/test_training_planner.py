from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from doyen_data import Message, Record, write_records
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.memory import read_config, shape_of, step_bytes
from doyen_training.planner import Device, Facts, band, plan, propose
from doyen_training.recipe import Recipe, read_recipe

BASE = "hub:Qwen/Qwen2.5-7B-Instruct@main"
TINY: dict[str, Any] = {
    "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 4096,
}  # fmt: skip
EXPERTS: dict[str, Any] = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT: dict[str, Any] = {
    "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_shared_experts": 1,
    "first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
    "v_head_dim": 8, "head_dim": 8, "num_key_value_heads": 4, "n_group": 2, "topk_group": 1,
}  # fmt: skip
PRESETS = {
    "qwen2": TINY,
    "qwen3": TINY | {"head_dim": 8},
    "qwen2_moe": TINY | EXPERTS | {"shared_expert_intermediate_size": 16},
    "qwen3_moe": TINY | EXPERTS | {"head_dim": 8},
    "deepseek_v2": TINY | LATENT | {"q_lora_rank": None},  # V2-Lite has no low-rank queries
    "deepseek_v3": TINY | LATENT,
}
LAPTOP = Device("cpu", 16_000_000_000, narrow=False)
CARD = Device("cuda", 80_000_000_000, narrow=True)


def facts(rows: int, longest: int = 512) -> Facts:
    return Facts(rows, (longest,) * rows, learned=0.2, marked=False, measured=True, dev=True)


def config(folder: Path, model_type: str, **change: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps({"model_type": model_type} | PRESETS[model_type] | change))
    return file


def records(count: int) -> list[Record]:
    return [
        Record(
            id=f"r{i}",
            messages=(
                Message(role="user", content=f"Which law, {i}?"),
                Message(role="assistant", content="NONE"),
            ),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("rows", "size", "rank", "epochs"),
    [
        (999, "small", 8, 3.0),
        (1000, "medium", 16, 2.0),
        (10_000, "medium", 16, 2.0),
        (10_001, "large", 32, 1.0),
    ],
)
def test_the_size_of_the_data_decides(tmp_path: Path, rows: int, size: str, rank: int, epochs: float) -> None:
    shape = shape_of(read_config(config(tmp_path, "qwen2")))
    assert band(rows) == size
    tight = Device("cpu", 60_000_000, narrow=False)  # too little for full tuning
    recipe = propose(facts(rows), shape, tight, BASE, "train.jsonl").recipe()
    method = recipe["method"]
    if size == "large":
        roomy = propose(facts(rows), shape, LAPTOP, BASE, "train.jsonl").recipe()
        assert roomy["method"] == {"kind": "full"}
        assert roomy["run"]["learning_rate"] == 2e-5
    else:
        assert (method["kind"], method["rank"]) == ("lora", rank)
    assert recipe["run"]["epochs"] == epochs
    Recipe.model_validate(recipe)


@pytest.mark.parametrize("model_type", PRESETS)
def test_presets_are_planned_from_their_configuration_alone(tmp_path: Path, model_type: str) -> None:
    write_records(tmp_path / "train.jsonl", records(4))
    proposal = plan(
        tmp_path / "train.jsonl", BASE, config=config(tmp_path, model_type), memory=16, relative_to=tmp_path
    )
    (tmp_path / "recipe.toml").write_text(proposal.toml())
    recipe = read_recipe(tmp_path / "recipe.toml")
    assert recipe.model_dump(exclude_unset=True) == Recipe.model_validate(proposal.recipe()).model_dump(
        exclude_unset=True
    )
    assert all(choice.reason for choice in proposal.choices)
    moe = "routed experts" in " ".join(proposal.remarks)
    assert moe == (model_type not in ("qwen2", "qwen3"))
    assert "estimated from bytes" in " ".join(proposal.remarks)


@pytest.mark.parametrize("model_type", ["qwen3", "qwen3_moe"])
def test_parameters_on_the_meta_device_are_those_of_the_real_model(tmp_path: Path, model_type: str) -> None:
    from transformers import AutoModelForCausalLM

    from doyen_modeling.methods import Lora, attach

    settings = read_config(config(tmp_path, model_type))
    shape = shape_of(settings)
    model = AutoModelForCausalLM.from_config(settings)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    adapted = attach(model, Lora(rank=4))
    assert shape.trainable("lora", 4) == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_bytes_follow_the_method_and_the_batch(tmp_path: Path) -> None:
    shape = shape_of(read_config(config(tmp_path, "qwen2")))
    step = {
        "trained": shape.trainable("lora", 8),
        "batch": 4,
        "length": 128,
        "learned": 0.2,
        "checkpointing": False,
        "narrow": False,
    }
    lora = step_bytes(shape, "lora", **step)  # type: ignore[arg-type]
    full = step_bytes(shape, "full", **step | {"trained": shape.parameters})  # type: ignore[arg-type]
    assert full.weights == full.gradients == 4 * shape.parameters
    assert full.optimizer == 8 * shape.parameters
    assert lora.optimizer == 8 * shape.trainable("lora", 8)
    assert lora.weights == 4 * (shape.parameters + shape.trainable("lora", 8))
    twice = step_bytes(shape, "lora", **step | {"batch": 8})  # type: ignore[arg-type]
    assert twice.activations == pytest.approx(2 * lora.activations, abs=2)
    less = step_bytes(shape, "lora", **step | {"checkpointing": True})  # type: ignore[arg-type]
    assert less.activations < lora.activations
    quantised = step_bytes(shape, "qlora", **step)  # type: ignore[arg-type]
    assert quantised.weights < 0.6 * lora.weights


def test_memory_decides_between_methods(tmp_path: Path) -> None:
    """A model of 7 billion weights, from its configuration alone."""
    big = shape_of(
        read_config(
            config(
                tmp_path, "qwen2", vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28,
                num_attention_heads=28, num_key_value_heads=4, max_position_embeddings=32768,
            )
        )
    )  # fmt: skip
    assert 7.6e9 < big.parameters < 7.7e9
    many = facts(20_000)
    kinds = {
        gb: propose(many, big, Device("cuda", gb * 10**9, narrow=True), BASE, "train.jsonl").recipe()[
            "method"
        ]["kind"]
        for gb in (160, 24, 12)
    }
    assert kinds == {160: "full", 24: "lora", 12: "qlora"}
    with pytest.raises(DoyenError, match="TRN-051: no method fits: qlora with one row of 512 tokens needs"):
        propose(many, big, Device("cuda", 4 * 10**9, narrow=True), BASE, "train.jsonl")
    with pytest.raises(DoyenError, match="TRN-051"):
        propose(many, big, LAPTOP, BASE, "train.jsonl")


def test_records_longer_than_the_base_are_told(tmp_path: Path) -> None:
    shape = shape_of(read_config(config(tmp_path, "qwen2", max_position_embeddings=256)))
    lengths = Facts(3, (100, 300, 512), learned=0.2, marked=False, measured=True, dev=True)
    for known, words in ((lengths, "2 longer records (up to 512 tokens)"), (facts(3, 256), "nothing is cut")):
        proposal = propose(known, shape, LAPTOP, BASE, "train.jsonl")
        (reason,) = (choice.reason for choice in proposal.choices if choice.key == "max_length")
        assert proposal.recipe()["data"]["max_length"] == 256
        assert words in reason
        assert ("nothing is cut" in reason) == (known is not lengths)


def test_a_base_on_this_machine_is_measured_with_its_tokenizer(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "base")
    write_records(tmp_path / "train.jsonl", records(12))
    write_records(tmp_path / "dev.jsonl", records(2))
    proposal = plan(
        tmp_path / "train.jsonl", f"path:{base}", dev=tmp_path / "dev.jsonl", relative_to=tmp_path
    )
    recipe = tomllib.loads(proposal.toml())
    assert recipe["data"] == {
        "train": "train.jsonl", "dev": "dev.jsonl", "max_length": 64, "learn": "assistant",
    }  # fmt: skip
    assert recipe["name"] == "train"
    assert "estimated" not in proposal.toml()


@pytest.mark.parametrize("content", ["{", '{"model_type": "nothing-known"}', '{"model_type": "vit"}', None])
def test_a_configuration_of_no_language_model_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DoyenError, match="TRN-050"):
        shape_of(read_config(file))


def test_a_base_that_is_absent_needs_a_configuration(tmp_path: Path) -> None:
    write_records(tmp_path / "train.jsonl", records(2))
    with pytest.raises(DoyenError, match="MOD-002"):
        plan(tmp_path / "train.jsonl", BASE)
