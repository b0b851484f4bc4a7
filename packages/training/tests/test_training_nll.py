from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from doyen_training.losses.nll import summed_nll


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_it_is_cross_entropy_in_value_and_gradient(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    logits = (8 * torch.randn(count, 37, generator=generator)).requires_grad_()
    labels = torch.randint(0, 37, (count,), generator=generator)
    ours, theirs = summed_nll(logits, labels), cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad(loss * 0.3, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(slopes[0], slopes[1])


def test_a_graph_can_be_walked_twice_as_gradnorm_does() -> None:
    logits = torch.randn(5, 7, requires_grad=True)
    loss = summed_nll(logits, torch.arange(5))
    first = torch.autograd.grad(loss, logits, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(loss, logits)[0])


def test_extreme_and_not_finite_scores() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [float("nan"), 0.0, 0.0]])
    assert summed_nll(logits[:1], torch.tensor([0])) == 0
    assert summed_nll(logits[:1], torch.tensor([1])) == 2e4
    assert summed_nll(logits, torch.tensor([0, 0])).isnan()
