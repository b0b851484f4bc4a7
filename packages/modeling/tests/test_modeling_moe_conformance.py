"""The suite of the tuning methods on a two-layer Qwen2-MoE: 32 wide, 8 experts of 16 channels, 2 a token."""

from __future__ import annotations

from pathlib import Path

import pytest

from doyen_modeling.methods import Experts, Router
from doyen_testkit.methods import MethodConformance
from doyen_testkit.models import tiny_moe

EXPERT = 2 * 16 * 32 + 32 * 16


class OnMixture(MethodConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A mixture of experts on disk."""
        return tiny_moe(tmp_path_factory.mktemp("moe"))


class TestExperts(OnMixture):
    method = Experts(experts={0: (5, 1), 1: (0, 2, 7)})
    trainable = 5 * EXPERT


class TestExpertsAndShared(OnMixture):
    method = Experts(experts={1: (3,)}, shared_experts=True)
    trainable = EXPERT + 2 * (3 * 16 * 32)


class TestRouter(OnMixture):
    method = Router()
    trainable = 2 * 8 * 32


class TestRouterUnbounded(OnMixture):
    method = Router(drift="none")
    trainable = 2 * 8 * 32
