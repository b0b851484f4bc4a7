from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from doyen_modeling.base import load_base
from doyen_modeling.methods import (
    CONFIG,
    WEIGHTS,
    Lora,
    QLora,
    adapter_base,
    attach,
    load_adapter,
    load_state,
    save_adapter,
    state,
)
from doyen_modeling.methods.store import BOUND
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama


def trained(folder: Path, adapter: Path) -> torch.Tensor:
    """Write an adapter with random weights, rounded to float16, for the base in ``folder``; returns its logits."""
    loaded = load_base(f"path:{folder}")
    model = get_peft_model(
        loaded.model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    )
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn_like(parameter).mul(0.2).half().float()
    save_adapter(model, adapter, loaded.ref)
    with torch.inference_mode():
        return model.eval()(IDS).logits


IDS = torch.tensor([[1, 40, 41, 42, 43]])


def test_a_saved_adapter_gives_the_same_logits_and_differs_from_the_base(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    logits = trained(folder, tmp_path / "adapter")
    base = load_base(f"path:{folder}")
    with torch.inference_mode():
        plain = base.model(IDS).logits.clone()
        loaded = load_adapter(base, tmp_path / "adapter")(IDS).logits
    assert torch.equal(loaded, logits)
    assert not torch.allclose(plain, logits, atol=1e-3)


def test_the_folder_holds_two_files_without_this_machines_paths(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    trained(folder, tmp_path / "adapter")
    assert sorted(file.name for file in (tmp_path / "adapter").iterdir()) == [CONFIG, WEIGHTS]
    config = json.loads((tmp_path / "adapter" / CONFIG).read_text())
    assert config["base_model_name_or_path"] == f"path:{folder}"  # the source string, as given
    assert config["target_modules"] == ["down_proj", "q_proj"]
    assert (tmp_path / "adapter" / WEIGHTS).stat().st_size < 8_000


def test_equal_adapters_are_equal_files(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    for name in ("a", "b"):
        trained(folder, tmp_path / name)
    for file in (CONFIG, WEIGHTS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("change", ["weights", "tokenizer"])
def test_another_base_of_the_same_shape_is_an_error(tmp_path: Path, change: str) -> None:
    trained(tiny_llama(tmp_path / "base"), tmp_path / "adapter")
    other = tiny_llama(tmp_path / "other", seed=1 if change == "weights" else 0)
    if change == "tokenizer":
        (other / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(DoyenError) as raised:
        load_adapter(load_base(f"path:{other}"), tmp_path / "adapter")
    assert raised.value.code == "MOD-011"
    assert f"{change}_sha256" in raised.value.message


def test_an_unbound_or_missing_adapter_is_an_error(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    base = load_base(f"path:{folder}")
    get_peft_model(base.model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(
        str(tmp_path / "plain")
    )
    for adapter in (tmp_path / "plain", tmp_path / "nowhere"):
        with pytest.raises(DoyenError, match="MOD-010"):
            adapter_base(adapter)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "LOHA"}, "its type is LOHA, which no method here has"),
        ({"peft_type": "NOPE"}, "its type is NOPE, which no method here has"),
        ({"peft_type": "SHIRA"}, r"its settings do not say how its mask was scored \(no doyen_method\)"),
        ({"rank_pattern": {"q_proj": 2}}, "it sets rank_pattern, which no method here has"),
        ({"alpha_pattern": {"q_proj": 2}}, "it sets alpha_pattern"),
        ({"bias": "lora_only", "modules_to_save": ["norm"]}, "it sets bias, modules_to_save"),
        ({"lora_alpha": 2.5}, "alpha is 2.5"),
        ({"r": None}, "rank is None"),
    ],
)
def test_an_adapter_of_no_method_here_is_not_trained_on(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    folder = tiny_llama(tmp_path / "base")
    trained(folder, tmp_path / "adapter")
    config = tmp_path / "adapter" / CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(DoyenError, match=rf"MOD-012: the adapter adapter cannot be trained on: {reason}"):
        load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)


@pytest.mark.parametrize(
    "change",
    [
        {"peft_type": "NOPE"},
        {"peft_type": ["LORA"]},
        {"peft_type": "LOHA"},
        {"rank_pattern": {"q_proj": 2}},
        {"r": 8},
        {"r": 0},
        {"r": "four"},
        {"use_dora": True},
        {"target_modules": ["q_proj"]},
        {"target_modules": ["q_proj", "down_proj", "up_proj"]},
        {"target_modules": ["nowhere"]},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_tensors_are_not_served(
    tmp_path: Path, change: dict[str, object]
) -> None:
    folder = tiny_llama(tmp_path / "base")
    trained(folder, tmp_path / "adapter")
    config = tmp_path / "adapter" / CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(DoyenError, match="MOD-012"):
        load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter")


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_damaged_pissa_file_is_not_trained_on(tmp_path: Path, rank: int) -> None:
    """Odd, half and double rank of the file beside the rank of the settings."""
    folder = tiny_llama(tmp_path / "base")
    base = load_base(f"path:{folder}")
    save_adapter(attach(base.model, Lora(rank=2, init="pissa")), tmp_path / "adapter", base.ref)
    load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)
    file = tmp_path / "adapter" / WEIGHTS
    sizes = {1: 3, 2: 2, 4: 8}
    tensors = {
        name: torch.zeros(sizes[rank], t.shape[1])
        if ".lora_A." in name
        else torch.zeros(t.shape[0], sizes[rank])
        for name, t in load_file(file).items()
    }
    save_file(tensors, file, metadata={BOUND: base.ref.model_dump_json()})
    with pytest.raises(DoyenError, match=r"MOD-012: 28 tensor\(s\) do not fit this lora adapter"):
        load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)


def test_tensors_of_another_shape_or_name_are_not_taken_back(tmp_path: Path) -> None:
    model = attach(load_base(f"path:{tiny_llama(tmp_path / 'base')}").model, Lora(rank=2))
    tensors = dict(state(model))
    name = next(iter(tensors))
    load_state(model, tensors)
    for wrong in (tensors | {name: torch.zeros(3, 32)}, tensors | {"more": tensors[name]}):
        with pytest.raises(DoyenError, match=r"MOD-012: 1 tensor\(s\)"):
            load_state(model, wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("init", ["zero", "pissa"])
def test_an_adapter_that_goes_on_keeps_the_type_of_its_file(
    tmp_path: Path, dtype: torch.dtype, init: Literal["zero", "pissa"]
) -> None:
    folder = tiny_llama(tmp_path / "base")
    base = load_base(f"path:{folder}")
    save_adapter(attach(base.model, Lora(rank=2, init=init)), tmp_path / "adapter", base.ref)
    file = tmp_path / "adapter" / WEIGHTS
    before = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    save_file(before, file, metadata={BOUND: base.ref.model_dump_json()})
    onward = load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)
    save_adapter(onward, tmp_path / "again", base.ref)
    after = load_file(tmp_path / "again" / WEIGHTS)
    assert {tensor.dtype for tensor in after.values()} == {dtype}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_qlora_goes_on_where_4_bit_can_run_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_llama(tmp_path / "base")
    trained(folder, tmp_path / "adapter")
    config = tmp_path / "adapter" / CONFIG
    settings = json.loads(config.read_text())
    method = QLora(rank=4, targets=("q_proj", "down_proj")).model_dump(mode="json")
    config.write_text(json.dumps(settings | {"doyen_method": method}))
    base = load_base(f"path:{folder}")
    load_adapter(base, tmp_path / "adapter")  # on the plain base, to serve or to merge
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DoyenError, match="MOD-042"):
        load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)


def test_a_plain_loader_takes_the_file_of_every_method(tmp_path: Path) -> None:
    """PEFT ignores our key, with a warning; the tensors are its own."""
    folder = tiny_llama(tmp_path / "base")
    base = load_base(f"path:{folder}")
    save_adapter(attach(base.model, Lora(rank=2, init="pissa")), tmp_path / "adapter", base.ref)
    fresh = load_base(f"path:{folder}").model
    with pytest.warns(UserWarning, match="doyen_method"):
        PeftModel.from_pretrained(fresh, str(tmp_path / "adapter"))


@pytest.mark.parametrize("settings", ["{", "[]", '{"peft_type": "LORA", "doyen_method": {"kind": "dora"}}'])
def test_damaged_settings_are_an_error(tmp_path: Path, settings: str) -> None:
    folder = tiny_llama(tmp_path / "base")
    trained(folder, tmp_path / "adapter")
    (tmp_path / "adapter" / CONFIG).write_text(settings)
    with pytest.raises(DoyenError, match=r"MOD-01[02]"):
        load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)
