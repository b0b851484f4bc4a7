"""Routing that was planted is found again: the tokens of a domain go to experts that we chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from doyen_modeling.base import load_base
from doyen_modeling.moe.layers import routers
from doyen_modeling.moe.scores import score_experts
from doyen_modeling.moe.select import select_experts
from doyen_testkit.models import MOE_FAMILIES, tiny_moe

DOMAIN = range(160, 320)
PLANTED = {0: (6, 3), 1: (2, 5)}


def plant(model: Any) -> None:
    """Give domain tokens a direction that every layer keeps, and let the planted experts' router rows look for it."""
    generator = torch.Generator().manual_seed(3)
    direction = torch.nn.functional.normalize(torch.randn(32, generator=generator), dim=0)
    with torch.no_grad():
        embeddings = model.get_input_embeddings().weight
        sign = torch.full((len(embeddings), 1), -1.0)
        sign[list(DOMAIN)] = 1.0
        embeddings.add_(8 * sign * direction)
        for layer, router in routers(model).items():
            router.weight.mul_(0.1)
            router.weight[list(PLANTED[layer])] += direction


def text(share: float, seed: int, rows: int = 12, length: int = 24) -> list[list[int]]:
    """Rows of tokens of which ``share`` belong to the domain."""
    generator = torch.Generator().manual_seed(seed)
    inside = torch.rand(rows, length, generator=generator) < share
    domain = torch.randint(DOMAIN.start, DOMAIN.stop, (rows, length), generator=generator)
    other = torch.randint(3, DOMAIN.start, (rows, length), generator=generator)
    return torch.where(inside, domain, other).tolist()


@pytest.mark.parametrize("family", MOE_FAMILIES)
def test_scores_find_the_planted_experts(tmp_path: Path, family: str) -> None:
    model = load_base(f"path:{tiny_moe(tmp_path, family)}").model
    before = score_experts(model, text(0.9, 0))
    plant(model)
    domain, general = score_experts(model, text(0.9, 0)), score_experts(model, text(0.0, 1))
    for layer in domain.token:
        for kind in ("token", "gate"):
            scores = domain.of(kind)[layer]
            assert set(sorted(scores, key=scores.__getitem__)[-2:]) == set(PLANTED[layer])
            for expert in PLANTED[layer]:
                assert scores[expert] > 5 * general.of(kind)[layer][expert]
    # Nine tokens in ten are the domain's, so its two experts hold most of a layer's token score.
    selected = select_experts(domain, "token", 0.7)
    assert all(set(chosen) == set(PLANTED[layer]) for layer, chosen in selected.items())
    assert any(
        set(chosen) != set(PLANTED[layer]) for layer, chosen in select_experts(before, "token", 0.7).items()
    )
    shares = [domain.token[layer][expert] for layer in domain.token for expert in PLANTED[layer]]
    assert shares == pytest.approx([0.45] * len(shares), abs=0.06)
