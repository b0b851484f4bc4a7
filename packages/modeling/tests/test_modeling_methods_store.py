from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from doyen_modeling.base import load_base
from doyen_modeling.methods import CONFIG, WEIGHTS, adapter_base, load_adapter, save_adapter
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
