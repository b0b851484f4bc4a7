"""The divergence between a student and its teacher at a temperature."""

from __future__ import annotations

import pytest
import torch

from doyen_modeling.distillation import soft_divergence


def test_it_is_the_divergence_at_temperature_one() -> None:
    torch.manual_seed(0)
    teacher_NK, student_NK = torch.randn(5, 7), torch.randn(5, 7)
    p_NK, q_NK = teacher_NK.softmax(-1), student_NK.softmax(-1)
    wanted_N = (p_NK * (p_NK / q_NK).log()).sum(-1)
    torch.testing.assert_close(soft_divergence(teacher_NK, student_NK, 1.0), wanted_N)
    torch.testing.assert_close(soft_divergence(teacher_NK.log_softmax(-1), student_NK + 3, 1.0), wanted_N)
    assert float(soft_divergence(teacher_NK, teacher_NK, 2.0).abs().max()) < 1e-5


def test_the_square_keeps_the_gradient_s_size_when_the_temperature_changes() -> None:
    torch.manual_seed(1)
    teacher_NK, student_NK = torch.randn(8, 20), torch.randn(8, 20, requires_grad=True)
    sizes = [
        float(torch.autograd.grad(soft_divergence(teacher_NK, student_NK, t).sum(), student_NK)[0].norm())
        for t in (8.0, 16.0)
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_an_impossible_class_counts_nothing() -> None:
    teacher_NK = torch.tensor([[0.0, 1.0, -torch.inf]])
    student_NK = torch.tensor([[0.5, 0.5, -torch.inf]], requires_grad=True)
    value = soft_divergence(teacher_NK, student_NK, 2.0)
    torch.testing.assert_close(value, soft_divergence(teacher_NK[:, :2], student_NK[:, :2], 2.0))
    assert torch.isfinite(torch.autograd.grad(value.sum(), student_NK)[0]).all()
