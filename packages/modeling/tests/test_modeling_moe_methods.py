from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.nn.utils import parametrize

from doyen_modeling.base import load_base
from doyen_modeling.methods import (
    CONFIG,
    WEIGHTS,
    Experts,
    Router,
    attach,
    load_adapter,
    load_state,
    merge,
    method_of,
    save_adapter,
    state,
)
from doyen_modeling.moe.layers import expert_modules, routers
from doyen_modeling.moe.router import RouterWatch, balance_loss, load_metrics, load_shares, router_drift
from doyen_modeling.moe.scores import score_experts
from doyen_schemas import DoyenError
from doyen_testkit.models import MOE_FAMILIES, tiny_moe

IDS = torch.tensor([[1, 40, 41, 42, 43, 44, 7, 8], [9, 10, 11, 12, 60, 61, 62, 63]])
KEEP = torch.ones(16, dtype=torch.bool)


def selection(model: Any) -> dict[int, tuple[int, ...]]:
    return dict.fromkeys(expert_modules(model), (5, 1))


def train(model: Any, steps: int = 3) -> torch.optim.AdamW:
    """AdamW with a strong weight decay over what requires gradients."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)
    model.train()
    for _ in range(steps):
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    return optimizer


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits.clone()


@pytest.mark.parametrize("family", MOE_FAMILIES)
def test_only_the_selected_experts_move_and_come_back_exactly(tmp_path: Path, family: str) -> None:
    folder = tiny_moe(tmp_path / "base", family)
    base = load_base(f"path:{folder}")
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    plain = logits(base.model)
    model = attach(base.model, Experts(experts=selection(base.model)))
    assert torch.equal(logits(model), plain)
    train(model)
    tuned = logits(model)
    assert not torch.allclose(tuned, plain, atol=1e-3)
    save_adapter(model, tmp_path / "adapter", base.ref)

    loaded = load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter")
    assert torch.equal(logits(loaded), tuned)
    merged = merge(loaded)
    assert torch.equal(logits(merged), tuned)
    assert method_of(merged) is None
    after = merged.state_dict()
    assert after.keys() == before.keys()
    changed: set[int] = set()
    for name, tensor in before.items():
        if ".experts." in name:
            moved = (after[name] != tensor).flatten(1).any(1).nonzero().flatten().tolist()
            changed |= set(moved)
        else:
            assert torch.equal(after[name], tensor)
    assert changed == {1, 5}


def test_eager_experts_give_the_same_and_leave_no_cache(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}")
    model = attach(base.model, Experts(experts=selection(base.model)))
    train(model)
    grouped = logits(model)
    model.set_experts_implementation("eager")
    torch.testing.assert_close(logits(model), grouped, atol=1e-5, rtol=0)
    with pytest.raises(IndexError):  # an unknown token id fails inside; the cache is closed all the same
        model(input_ids=torch.tensor([[10**6]]))
    assert parametrize._cache_enabled == 0


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}")
    model = attach(base.model, Experts(experts=selection(base.model))).train()
    gradients = []
    for recompute in (False, True):
        if recompute:
            model.activation_checkpointing_enable({"use_reentrant": False})
        model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
    assert len(gradients[0]) == 4
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_optimizer_bytes_and_file_are_proportional_to_the_selected_experts(
    tmp_path: Path, count: int
) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path / 'base')}")
    chosen = dict.fromkeys((0, 1), tuple(range(count)))
    model = attach(base.model, Experts(experts=chosen))
    optimizer = train(model, 1)
    moments = sum(
        value.numel() * value.element_size()
        for values in optimizer.state.values()
        for key, value in values.items()
        if key != "step"
    )
    one_expert = 32 * 32 + 32 * 16  # gate and up (2I, H), down (H, I)
    assert moments == 2 * 4 * 2 * count * one_expert
    save_adapter(model, tmp_path / "adapter", base.ref)
    size = (tmp_path / "adapter" / WEIGHTS).stat().st_size
    assert 0 <= size - 4 * 2 * count * one_expert < 2000


def test_experts_are_selected_on_batches_when_none_are_named(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path / 'base')}")
    rows = IDS.tolist()
    scores = score_experts(base.model, rows).token
    model = attach(base.model, Experts(threshold=0.4), [{"input_ids": IDS, "labels": IDS}])
    chosen = method_of(model).experts
    for layer, experts in chosen.items():
        assert list(experts) == sorted(experts, key=lambda e: -scores[layer][e])
        assert sum(scores[layer][e] for e in experts) >= 0.4
    save_adapter(model, tmp_path / "adapter", base.ref)
    written = json.loads((tmp_path / "adapter" / CONFIG).read_text())["doyen_method"]["experts"]
    assert written == {str(layer): list(experts) for layer, experts in chosen.items()}


def test_a_selection_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "experts.json").write_text('{"experts": {"1": [3]}}')
    method = Experts(experts="experts.json").resolve(tmp_path)
    assert method.experts == {1: (3,)}
    assert method.resolve(tmp_path) is method
    with pytest.raises(DoyenError, match="MOD-051"):
        Experts(experts="nowhere.json").resolve(tmp_path)
    with pytest.raises(ValidationError):
        Experts(experts={"one": [1]})


@pytest.mark.parametrize(
    ("shared", "rest"), [(True, False), (False, True), (True, True)], ids=["shared", "rest", "both"]
)
def test_shared_experts_and_the_rest_are_tuned_on_request(tmp_path: Path, shared: bool, rest: bool) -> None:
    folder = tiny_moe(tmp_path / "base", "deepseek_v2")
    base = load_base(f"path:{folder}")
    before = copy.deepcopy(base.model.state_dict())
    method = Experts(experts={1: (0,)}, shared_experts=shared, non_expert_modules=rest)
    model = attach(base.model, method)
    train(model)
    tuned = logits(model)
    save_adapter(model, tmp_path / "adapter", base.ref)
    loaded = load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter")
    assert torch.equal(logits(loaded), tuned)
    after = merge(model).state_dict()
    for name, tensor in before.items():
        moved = not torch.equal(after[name], tensor)
        if ".experts." not in name and "rotary" not in name:
            assert moved == (shared if ".shared_experts." in name else rest), name


@pytest.mark.parametrize("wrong", [{7: (0,)}, {0: (8,)}, {0: (-1,)}, {0: (1, 1)}, {0: ()}, {}])
def test_a_selection_that_does_not_fit_is_an_error(tmp_path: Path, wrong: dict[int, tuple[int, ...]]) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}")
    with pytest.raises(DoyenError, match="MOD-054"):
        attach(base.model, Experts(experts=wrong))


def test_half_precision_bases_keep_small_updates(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}", "bfloat16")
    model = attach(base.model, Experts(experts=selection(base.model)))
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)
    train(model)
    tuned = logits(model)
    assert tuned.dtype == torch.bfloat16
    assert torch.equal(logits(merge(model)), tuned)


@pytest.mark.parametrize("family", MOE_FAMILIES)
def test_only_routers_move_within_their_bound_and_come_back_exactly(tmp_path: Path, family: str) -> None:
    folder = tiny_moe(tmp_path / "base", family)
    base = load_base(f"path:{folder}")
    before = copy.deepcopy(base.model.state_dict())
    plain = logits(base.model)
    model = attach(base.model, Router(drift=0.05))
    assert torch.equal(logits(model), plain)
    train(model, 30)
    tuned = logits(model)
    kept = {name: tensor.clone() for name, tensor in state(model).items()}
    save_adapter(model, tmp_path / "adapter", base.ref)
    loaded = load_adapter(load_base(f"path:{folder}"), tmp_path / "adapter", trainable=True)
    assert torch.equal(logits(loaded.eval()), tuned)
    load_state(loaded, kept)
    after = merge(loaded).state_dict()
    moved = [name for name, tensor in before.items() if not torch.equal(after[name], tensor)]
    assert moved
    assert all(name.endswith("mlp.gate.weight") for name in moved)
    for name in moved:
        length = before[name].norm(dim=1)
        drift = (after[name] - before[name]).norm(dim=1) / length
        assert float(drift.max()) <= 0.05 * (1 + 1e-5)
    assert any(float((after[n] - before[n]).norm(dim=1).max()) > 0 for n in moved)


def test_routers_without_a_bound_go_further(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}")
    model = attach(base.model, Router(drift="none"))
    before = {layer: router.weight.detach().clone() for layer, router in routers(model).items()}
    train(model, 30)
    change = [
        (routers(model)[layer].weight - weight).norm(dim=1) / weight.norm(dim=1)
        for layer, weight in before.items()
    ]
    assert float(torch.stack(change).detach().max()) > 0.02


@pytest.mark.parametrize("family", ["qwen2_moe", "deepseek_v3"])
def test_the_watch_sees_drift_and_load(tmp_path: Path, family: str) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path, family)}")
    model = attach(base.model, Router(drift="none"))
    watch = RouterWatch(model)
    logits(model)
    assert list(watch.seen) == list(routers(model))
    assert all(float(router_drift(seen, KEEP)) == pytest.approx(0, abs=1e-6) for seen in watch.seen.values())
    train(model, 5)
    logits(model)
    seen = watch.seen[1]
    assert float(router_drift(seen, KEEP)) > 1e-5
    assert seen.probabilities(seen.logits_TE).sum(-1).allclose(torch.ones(16), atol=1e-5)
    shares = load_shares(seen, KEEP)
    assert float(shares.sum()) == pytest.approx(1)
    masked = load_shares(seen, torch.arange(16) < 1)
    assert set(masked.nonzero().flatten().tolist()) == set(seen.index_TK[0].tolist())
    watch.close()
    watch.seen.clear()
    logits(model)
    assert not watch.seen


def test_load_metrics_of_even_and_collapsed_routing() -> None:
    even, collapsed = torch.full((4,), 0.25), torch.tensor([1.0, 0, 0, 0])
    assert load_metrics({0: even}) == pytest.approx({"entropy": 1, "max_over_mean": 1, "unused": 0})
    both = load_metrics({0: even, 1: collapsed})
    assert both == pytest.approx({"entropy": 0.5, "max_over_mean": 4, "unused": 3 / 8})
    assert load_metrics({}) == {}


def test_the_balance_loss_is_one_when_even_and_pushes_towards_it(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}")
    model = attach(base.model, Router(drift="none"))
    watch = RouterWatch(model)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    values = []
    for _ in range(25):
        model(input_ids=IDS)
        loss = sum(balance_loss(seen, KEEP) for seen in watch.seen.values())
        values.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert min(values) >= 2 - 0.2
    assert values[-1] < values[0] - 0.1
