from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from objectives_fixtures import examples, run, start
from pydantic import TypeAdapter, ValidationError
from trl import SFTConfig

from doyen_modeling.base import load_base
from doyen_modeling.methods import Experts, Router, attach
from doyen_modeling.moe.layers import routers
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama, tiny_moe
from doyen_training.collate import Collator
from doyen_training.forward import learned_forward
from doyen_training.losses import LossPart, build
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.router import RouterTerm
from doyen_training.trainer import Trainer

ROWS = examples(3)


def tuned(folder: Path, term: RouterTerm, steps: int = 20) -> Any:
    """A model whose routers were tuned for a while under ``term``."""
    model = attach(load_base(f"path:{tiny_moe(folder)}").model, Router(drift="none"))
    term.begin(start(model, ROWS))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        forward = run(model, ROWS, [])
        count = len(forward.labels_N)
        loss = CrossEntropy().loss(forward, count) + term.weight * term.loss(forward, count)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def test_the_drift_term_holds_the_routers_and_metrics_are_those_since_the_last_call(tmp_path: Path) -> None:
    free, held = RouterTerm(drift=0.0), RouterTerm(drift=10.0)
    tuned(tmp_path / "free", free)
    tuned(tmp_path / "held", held)
    assert held.metrics()["drift"] < 0.5 * free.metrics()["drift"]
    assert free.metrics() == {}


def test_the_drift_moves_only_the_routers_own_weights(tmp_path: Path) -> None:
    model = attach(load_base(f"path:{tiny_moe(tmp_path)}").model, Router())
    term = RouterTerm()
    term.begin(start(model, ROWS))
    with torch.no_grad():
        for router in routers(model).values():
            router.parametrizations.weight[0].delta.normal_(std=0.1)
    model.model.embed_tokens.weight.requires_grad_(True)
    forward = run(model, ROWS, [])
    loss = term.loss(forward, len(forward.labels_N))
    assert float(loss.detach()) > 0
    loss.backward()
    assert model.model.embed_tokens.weight.grad is None or not model.model.embed_tokens.weight.grad.any()
    assert all(router.parametrizations.weight[0].delta.grad.any() for router in routers(model).values())


def test_padding_counts_for_nothing_and_loads_are_shares(tmp_path: Path) -> None:
    model = attach(load_base(f"path:{tiny_moe(tmp_path)}").model, Experts(experts={0: (1,)}))
    together, alone = RouterTerm(balance=1.0), RouterTerm(balance=1.0)
    for term in (together, alone):
        term.begin(start(model, ROWS))
    forward = run(model, ROWS, [])
    assert not forward.inputs["attention_mask"].all()
    together.loss(forward, len(forward.labels_N))
    for row in ROWS:
        alone.loss(run(model, [row], []), 1)
    for layer, shares in together.loads().items():
        assert sum(shares) == pytest.approx(1)
        assert alone.loads()[layer] == pytest.approx(shares, abs=1e-6)
    metrics = together.metrics()
    assert metrics["drift"] == pytest.approx(0, abs=1e-6)
    assert 0 < metrics["entropy"] <= 1 <= metrics["max_over_mean"]
    assert sum(metrics[f"load/1/{expert}"] for expert in range(8)) == pytest.approx(1)


def test_padding_of_packed_rows_counts_for_nothing(tmp_path: Path) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path)}").model
    term = RouterTerm(balance=1.0)
    term.begin(start(model, ROWS))
    batch = Collator(ROWS, 0, packed=True)([{"indices": [0, 1]}, {"indices": [2]}])
    assert "attention_mask" not in batch
    forward = learned_forward(model, batch)[0]
    term.loss(forward, len(forward.labels_N))
    tokens = sum(len(row.input_ids) for row in ROWS)
    assert tokens < batch["input_ids"].numel()
    assert all(float(load.sum()) == pytest.approx(tokens) for load in term._loads.values())


def test_the_trainer_computes_it_before_terms_with_passes_of_their_own(tmp_path: Path) -> None:
    base = load_base(f"path:{tiny_moe(tmp_path)}")
    args = SFTConfig(
        output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none", max_length=None
    )
    trainer = Trainer(base.model, args, base.tokenizer, ROWS, terms=[CrossEntropy(), RouterTerm()])
    assert [term.name for term in trainer.terms] == ["router", "cross_entropy"]


def test_the_value_is_weighed_like_the_learned_tokens_of_the_step(tmp_path: Path) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path)}").model
    term = RouterTerm(balance=1.0)
    term.begin(start(model, ROWS))
    forward = run(model, ROWS, [])
    learned = len(forward.labels_N)
    whole, half = (float(term.loss(forward, count).detach()) for count in (learned, 2 * learned))
    assert half == pytest.approx(whole / 2)


def test_the_recipe_table_and_a_dense_model(tmp_path: Path) -> None:
    part = TypeAdapter(LossPart).validate_python(
        {"kind": "router", "drift": 0.5, "balance": 0.01, "weight": 2}
    )
    term = build(part, tmp_path)
    assert isinstance(term, RouterTerm)
    assert (term.weight, term.drift, term.balance) == (2, 0.5, 0.01)
    with pytest.raises(ValidationError):
        TypeAdapter(LossPart).validate_python({"kind": "router", "drift": -1})
    with pytest.raises(DoyenError, match="MOD-050"):
        term.begin(start(load_base(f"path:{tiny_llama(tmp_path)}").model, ROWS))
