"""Offline distillation: the cached classes, the divergence, and the protection against a teacher's errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from objectives_fixtures import examples, run, start, tiny_model
from pydantic import TypeAdapter, ValidationError
from torch.nn.functional import cross_entropy

from doyen_modeling.base import LoadedBase
from doyen_modeling.distillation import soft_divergence
from doyen_schemas import BaseRef, DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.distillation.cache import TeacherCache, cache_teacher, top_rows
from doyen_training.losses import DistillationPart, LossPart, build
from doyen_training.losses.distillation import Distillation, coarse, conflict, sample_weights, with_tail

REF = BaseRef(source="path:teacher", weights_sha256="0" * 64, tokenizer_sha256="1" * 64)
ROWS = examples(5)


def teacher(seed: int = 1) -> LoadedBase:
    return LoadedBase(tiny_model(seed).eval(), tiny_tokenizer(), REF)


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cached") / "teacher"
    cache_teacher(teacher(), ROWS, tiny_tokenizer(), folder, k=320, batch_size=2)
    return folder


def random(vocabulary: int = 11, rows: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return (
        2 * torch.randn(rows, vocabulary, dtype=torch.double),
        2 * torch.randn(rows, vocabulary, dtype=torch.double),
        torch.arange(rows) % vocabulary,
    )


def classes(
    teacher_NV: torch.Tensor, student_NV: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    rows = top_rows(teacher_NV, torch.zeros(len(teacher_NV), dtype=torch.long), k)
    tokens_NK = rows["tokens"].long()
    exact_NK = teacher_NV.log_softmax(-1).gather(1, tokens_NK)
    tail_N = rows["tail"].double()
    return with_tail(exact_NK, tail_N, teacher_NV.shape[1]), coarse(student_NV, tokens_NK), tokens_NK


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_it_tends_to_the_divergence_of_the_full_distributions(temperature: float) -> None:
    teacher_NV, student_NV, _ = random()
    full_N = soft_divergence(teacher_NV, student_NV, temperature)
    errors = []
    for k in (2, 6, 10, 11):
        teacher_NC, student_NC, _ = classes(teacher_NV, student_NV, k)
        errors.append(float((soft_divergence(teacher_NC, student_NC, temperature) - full_N).abs().mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[3] < 1e-5


def test_classes_lose_information_and_never_add_any_at_temperature_one() -> None:
    teacher_NV, student_NV, _ = random()
    full_N = soft_divergence(teacher_NV, student_NV, 1.0)
    for k in (1, 4, 9):
        teacher_NC, student_NC, _ = classes(teacher_NV, student_NV, k)
        assert bool((soft_divergence(teacher_NC, student_NC, 1.0) <= full_N + 1e-5).all())


@pytest.mark.parametrize(("k", "temperature"), [(3, 1.0), (3, 2.0), (11, 4.0)])
def test_the_projected_gradient_is_the_projection_of_the_gradient(k: int, temperature: float) -> None:
    teacher_NV, student_NV, labels_N = random()
    student_NV.requires_grad_(True)
    teacher_NC, student_NC, tokens_NK = classes(teacher_NV, student_NV, k)
    divergence = soft_divergence(teacher_NC, student_NC, temperature).sum()
    (g_NV,) = torch.autograd.grad(divergence, student_NV, retain_graph=True)
    nll_N = cross_entropy(student_NV, labels_N, reduction="none")
    (h_NV,) = torch.autograd.grad(nll_N.sum(), student_NV, retain_graph=True)
    along_N = (g_NV * h_NV).sum(1)
    assert bool((along_N < 0).any())
    assert bool((along_N > 0).any())
    wanted_NV = torch.where(
        (along_N < 0)[:, None], g_NV - (along_N / h_NV.square().sum(1))[:, None] * h_NV, g_NV
    )
    push_N = conflict(student_NV.detach(), labels_N, tokens_NK, teacher_NC, student_NC.detach(), temperature)
    (found_NV,) = torch.autograd.grad(divergence + (push_N * nll_N).sum(), student_NV)
    torch.testing.assert_close(found_NV, wanted_NV, atol=1e-5, rtol=1e-4)


def test_the_value_of_a_projected_loss_is_the_divergence(cached: Path) -> None:
    model, losses = tiny_model(2), []
    for projection in (False, True):
        term = Distillation(TeacherCache(cached), projection=projection)
        term.begin(start(model, ROWS))
        losses.append(float(term.loss(run(model, ROWS, [term]), 10)))
        figures = term.metrics()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert 0 < figures["conflicts"] < 1


def test_a_student_that_is_its_teacher_has_no_loss(cached: Path) -> None:
    for seed, low, high in ((1, 0.0, 2e-3), (2, 1e-2, 10.0)):
        model = tiny_model(seed)
        term = Distillation(TeacherCache(cached))
        term.begin(start(model, ROWS))
        forward = run(model, ROWS, [term])
        loss = float(term.loss(forward, len(forward.labels_N)))
        assert low <= loss <= high


def test_the_gate_drops_what_the_teacher_does_not_believe(cached: Path) -> None:
    model = tiny_model(2)
    cache = TeacherCache(cached)
    gold = torch.cat([cache.rows(i)["gold"] for i in range(len(ROWS))])
    gate = float(-gold.median())
    open_term, gated = Distillation(cache), Distillation(cache, gate=gate)
    for term in (open_term, gated):
        term.begin(start(model, ROWS))
    assert float(gated.loss(run(model, ROWS, [gated]), 1)) < float(
        open_term.loss(run(model, ROWS, [open_term]), 1)
    )
    assert gated.metrics()["gated"] == pytest.approx(float((gold < -gate).float().mean()), abs=1e-3)
    shut = Distillation(cache, gate=1e-6)
    shut.begin(start(model, ROWS))
    assert float(shut.loss(run(model, ROWS, [shut]), 1)) == 0.0


def test_samples_weigh_what_the_teacher_gives_their_labels(cached: Path) -> None:
    weights = sample_weights(
        [torch.tensor([-0.1, -0.1]), torch.tensor([-9.0]), torch.tensor([-0.5])], (0.1, 1.5)
    )
    assert weights[0] == 1.5
    assert weights[1] == 0.1
    assert 0.1 < weights[2] < 1.5
    model = tiny_model(2)
    term = Distillation(TeacherCache(cached), bounds=(0.0, 10.0))
    term.begin(start(model, ROWS))
    forward = run(model, ROWS, [term])
    plain = Distillation(TeacherCache(cached))
    plain.begin(start(model, ROWS))
    assert float(term.loss(forward, 1)) != pytest.approx(float(plain.loss(run(model, ROWS, [plain]), 1)))
    assert sum(term._weights) / len(ROWS) == pytest.approx(1.0)


def test_training_on_it_brings_the_student_nearer(cached: Path) -> None:
    model = tiny_model(2)
    term = Distillation(TeacherCache(cached))
    term.begin(start(model, ROWS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        forward = run(model, ROWS, [term])
        loss = term.loss(forward, len(forward.labels_N))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    assert losses[-1] < 0.6 * losses[0]


def test_a_cache_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doyen_training.distillation.cache.SHARD", 2)
    whole = cache_teacher(teacher(), ROWS, tiny_tokenizer(), tmp_path / "whole", k=4)
    calls: list[str] = []

    def killed(line: str) -> None:
        calls.append(line)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_teacher(teacher(), ROWS, tiny_tokenizer(), tmp_path / "parts", k=4, report=killed)
    with pytest.raises(DoyenError, match="TRN-060"):
        TeacherCache(tmp_path / "parts")
    calls.clear()
    resumed = cache_teacher(teacher(), ROWS, tiny_tokenizer(), tmp_path / "parts", k=4, report=calls.append)
    assert calls == ["5 of 5 samples"]
    assert resumed["shards"] == whole["shards"]
    cache = TeacherCache(tmp_path / "parts")
    assert cache.alignment == "tokens"
    assert cache.rows(4)["tokens"].shape == (8, 4)


def test_a_cache_of_something_else_is_refused(cached: Path, tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="TRN-061"):
        cache_teacher(teacher(), ROWS, tiny_tokenizer(), cached, k=7)
    term = Distillation(TeacherCache(cached))
    with pytest.raises(DoyenError, match="TRN-061"):
        term.begin(start(tiny_model(), ROWS[:3]))
    with pytest.raises(DoyenError, match="TRN-060"):
        TeacherCache(tmp_path)
    cache_teacher(teacher(), ROWS, tiny_tokenizer(), tmp_path / "changed", k=2)
    shard = tmp_path / "changed" / "rows-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DoyenError, match="TRN-060"):
        TeacherCache(tmp_path / "changed").check(ROWS, tiny_tokenizer())


def test_a_recipe_s_table_becomes_the_term(cached: Path) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(LossPart)
    part = adapter.validate_python(
        {
            "kind": "distillation",
            "teacher": REF.source,
            "cache": cached.name,
            "weight": 0.5,
            "gate": 4.0,
            "top": 320,
        }
    )
    assert isinstance(part, DistillationPart)
    term = build(part, cached.parent)
    for change in ({"teacher": "path:other"}, {"adapter": "adapter"}, {"top": 64}):
        with pytest.raises(DoyenError, match=f"TRN-061: .* was made with {next(iter(change))}"):
            build(part.model_copy(update=change), cached.parent)
    assert (term.weight, type(term)) == (0.5, Distillation)
    for wrong in (
        {"kind": "distilation"},
        {"kind": "pgd", "epsilon": 0},
        {"kind": "cross-entropy", "wieght": 1},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
