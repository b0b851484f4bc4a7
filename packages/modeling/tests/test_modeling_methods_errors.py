"""What the tuning methods refuse, and what they report."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from doyen_modeling.base import LoadedBase, load_base
from doyen_modeling.methods import (
    CONFIG,
    IA3,
    WEIGHTS,
    Bottleneck,
    Full,
    Lora,
    Masked,
    Prefix,
    Prompt,
    QLora,
    activation_report,
    attach,
    load_adapter,
    merge,
    save_adapter,
)
from doyen_modeling.methods.store import BOUND
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama

IDS = torch.tensor([[1, 40, 41, 42, 43, 44]])
BATCH = {"input_ids": IDS, "labels": IDS}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return load_base(f"path:{tiny_llama(tmp_path_factory.mktemp('base'))}")


@pytest.fixture
def base(pristine: LoadedBase) -> LoadedBase:
    return pristine._replace(model=copy.deepcopy(pristine.model))


def code(raised: pytest.ExceptionInfo[DoyenError]) -> str:
    return raised.value.code


@pytest.mark.parametrize(
    "method",
    [
        Lora(targets=("no_such_layer",)),
        IA3(targets=("no_such_layer",), feedforward=("no_such_layer",)),
        Masked(targets=("no_such_layer",), rank=1),
    ],
    ids=lambda method: method.kind,
)
def test_targets_that_fit_no_layer(base: LoadedBase, method: Any) -> None:
    with pytest.raises(DoyenError, match="no_such_layer") as raised:
        attach(base.model, method, [BATCH])
    assert code(raised) == "MOD-040"


def test_a_layer_without_the_named_site(base: LoadedBase) -> None:
    del base.model.base_model.layers[1].mlp
    with pytest.raises(DoyenError, match=r"layer 1 .* no mlp") as raised:
        attach(base.model, Bottleneck())
    assert code(raised) == "MOD-040"


def test_a_pattern_that_names_no_parameter(base: LoadedBase) -> None:
    with pytest.raises(DoyenError, match="encoder") as raised:
        attach(base.model, Full(parameters=("encoder.*",)))
    assert code(raised) == "MOD-041"


@pytest.mark.parametrize(
    ("available", "capability", "installed", "reason"),
    [
        (False, (9, 0), True, "there is none"),
        (True, (7, 0), True, "capability"),
        (True, (9, 0), False, "not installed"),
    ],
)
def test_qlora_where_the_device_cannot(
    base: LoadedBase,
    monkeypatch: pytest.MonkeyPatch,
    available: bool,
    capability: tuple[int, int],
    installed: bool,
    reason: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    before = {name: p.clone() for name, p in base.model.named_parameters()}
    with pytest.raises(DoyenError, match=reason) as raised:
        attach(base.model, QLora())
    assert code(raised) == "MOD-042"
    assert all(torch.equal(p, before[name]) for name, p in base.model.named_parameters())


def test_merging_into_coarse_weights(base: LoadedBase) -> None:
    model = attach(base.model.to(torch.bfloat16), Lora(rank=2))
    with pytest.raises(DoyenError, match="bfloat16") as raised:
        merge(model)
    assert code(raised) == "MOD-044"
    with pytest.raises(DoyenError, match="MOD-044"):
        QLora().merge(model)


def test_a_second_method_on_a_loaded_adapter(base: LoadedBase, pristine: LoadedBase, tmp_path: Path) -> None:
    save_adapter(attach(base.model, Lora(rank=2)), tmp_path, base.ref)
    loaded = load_adapter(pristine._replace(model=copy.deepcopy(pristine.model)), tmp_path)
    with pytest.raises(DoyenError, match="MOD-047"):
        attach(loaded, Lora(rank=2))
    again = attach(merge(loaded), Lora(rank=2))
    assert any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("method", [Prefix(tokens=2), Prompt(tokens=2)], ids=lambda method: method.kind)
def test_virtual_tokens_need_a_plain_mask(base: LoadedBase, method: Any) -> None:
    model = attach(base.model, method)
    with pytest.raises(DoyenError, match="4 dimensions") as raised:
        model(input_ids=IDS, attention_mask=torch.ones(1, 1, 6, 6, dtype=torch.bool))
    assert code(raised) == "MOD-045"


@pytest.mark.parametrize(
    ("method", "batches"), [(Masked(rank=2), None), (Masked(rank=2), []), (Masked(rank=32), [BATCH])]
)
def test_masks_without_batches_or_too_large(
    base: LoadedBase, method: Masked, batches: list[dict[str, torch.Tensor]] | None
) -> None:
    with pytest.raises(DoyenError) as raised:
        attach(base.model, method, batches)
    assert code(raised) == "MOD-046"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Lora(dora=True, init="pissa"),
        lambda: Lora(rank=0),
        lambda: IA3(targets=("k_proj",)),
        lambda: IA3(targets=("k_proj",), feedforward=("down_proj",)),
        lambda: Bottleneck(sites=()),
        lambda: QLora(init="pissa"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        wrong()


def test_the_best_weights_of_each_matrix_are_chosen(base: LoadedBase) -> None:
    """Scores made by hand, against the mask that is trained."""
    base.model.eval()
    parameters = dict(base.model.named_parameters())
    base.model(**BATCH).loss.backward()
    name = "model.layers.0.mlp.up_proj.weight"
    score = (parameters[name].grad * parameters[name]).abs().detach()
    wanted = set(score.flatten().topk(2 * (64 + 32)).indices.tolist())
    base.model.zero_grad()
    model = attach(base.model, Masked(rank=2), [BATCH])
    module = model.get_submodule("base_model.model.model.layers.0.mlp.up_proj")
    rows, columns = module.shira_indices["default"]
    assert set((rows.long() * 32 + columns).tolist()) == wanted
    report = activation_report(model)
    assert len(report) == 14
    share = float(score.flatten().topk(2 * (64 + 32)).values.sum() / score.sum())
    assert report["model.layers.0.mlp.up_proj"] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("score", ["taylor", "fisher", "random"])
def test_each_score_chooses_other_weights_and_the_same_ones_again(pristine: LoadedBase, score: Any) -> None:
    def chosen(kind: Any) -> torch.Tensor:
        model = attach(copy.deepcopy(pristine.model), Masked(rank=2, score=kind), [BATCH])
        return model.get_submodule("base_model.model.model.layers.1.mlp.down_proj").shira_indices["default"]

    assert torch.equal(chosen(score), chosen(score))
    assert not torch.equal(chosen(score), chosen("random" if score != "random" else "taylor"))


def test_virtual_tokens_learn_apart(base: LoadedBase) -> None:
    """With a start of zeros, as PEFT's, all virtual tokens would get one gradient and stay equal."""
    model = attach(base.model, Prefix(tokens=3, init="random"))
    model(**BATCH).loss.backward()
    gradient = model.base_model.virtual_prefix.keys[0].grad
    assert gradient.abs().max() > 0
    assert not torch.allclose(gradient[:, 0], gradient[:, 1])


def saved(base: LoadedBase, folder: Path) -> Path:
    save_adapter(attach(base.model, Bottleneck(rank=2)), folder, base.ref)
    return folder


def test_a_folder_without_settings(base: LoadedBase, pristine: LoadedBase, tmp_path: Path) -> None:
    (saved(base, tmp_path) / CONFIG).write_text("{", encoding="utf-8")
    with pytest.raises(DoyenError) as raised:
        load_adapter(pristine, tmp_path)
    assert code(raised) == "MOD-010"


@pytest.mark.parametrize(
    "method", [None, {"kind": "no-such-kind"}, {"kind": "bottleneck", "rank": 3, "key": 1}]
)
def test_settings_of_no_known_method(
    base: LoadedBase, pristine: LoadedBase, tmp_path: Path, method: object
) -> None:
    (saved(base, tmp_path) / CONFIG).write_text(json.dumps({"doyen_method": method}), encoding="utf-8")
    with pytest.raises(DoyenError) as raised:
        load_adapter(pristine, tmp_path)
    assert code(raised) == "MOD-012"


def test_tensors_of_another_shape(base: LoadedBase, pristine: LoadedBase, tmp_path: Path) -> None:
    file = saved(base, tmp_path) / WEIGHTS
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("down.weight"))
    save_file(tensors | {name: torch.zeros(3, 32)}, file, metadata={BOUND: base.ref.model_dump_json()})
    with pytest.raises(DoyenError, match=r"down\.weight") as raised:
        load_adapter(pristine._replace(model=copy.deepcopy(pristine.model)), tmp_path)
    assert code(raised) == "MOD-012"
