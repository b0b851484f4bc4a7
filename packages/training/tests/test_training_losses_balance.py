"""GradNorm and uncertainty: two tasks whose losses differ by a factor of a hundred."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from doyen_schemas import DoyenError
from doyen_training.losses.balance import BalancePart, FixedPart, GradNorm, Uncertainty


class Tasks(nn.Module):
    """A shared layer and two heads."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.heads = nn.Linear(6, 2)
        self.shared = nn.Linear(4, 6)

    def losses(self, x_BD: torch.Tensor, y_B2: torch.Tensor) -> dict[str, torch.Tensor]:
        each_2 = (self.heads(self.shared(x_BD).tanh()) - y_B2).square().mean(0)
        return {"large": 100 * each_2[0], "small": each_2[1]}


def data() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    x_BD = torch.randn(32, 4)
    return x_BD, torch.stack([x_BD.sum(1), x_BD[:, 0] - x_BD[:, 1]], dim=1)


def lengths(balance: Any, model: Tasks) -> dict[str, float]:
    return {
        name: balance.weights[name]
        * float(torch.autograd.grad(loss, model.shared.weight, retain_graph=True)[0].norm())
        for name, loss in model.losses(*data()).items()
    }


def test_gradients_become_equally_long() -> None:
    model, balance = Tasks(), GradNorm(alpha=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    balance.weights = {"large": 1.0, "small": 1.0}
    before = lengths(balance, model)
    assert before["large"] > 20 * before["small"]
    for _ in range(60):
        balance.combine(model.losses(*data()), model).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = lengths(balance, model)
    assert after["large"] == pytest.approx(after["small"], rel=0.1)
    assert sum(balance.weights.values()) == pytest.approx(2.0)


def test_a_term_that_lags_behind_is_trained_faster() -> None:
    model = Tasks()
    x_BD, y_B2 = data()
    lagging, even = GradNorm(alpha=1.0), GradNorm(alpha=0.0)
    for balance in (lagging, even):
        balance.first = {"large": float(model.losses(x_BD, y_B2)["large"].detach()) * 10, "small": 1e-3}
        for _ in range(80):
            balance.combine(model.losses(x_BD, y_B2), model)
    assert lengths(lagging, model)["small"] > 2 * lengths(lagging, model)["large"]
    assert lengths(even, model)["small"] == pytest.approx(lengths(even, model)["large"], rel=0.05)


@pytest.mark.parametrize("make", [GradNorm, Uncertainty])
def test_its_state_goes_on(make: Any) -> None:
    model, whole = Tasks(), make()
    for _ in range(3):
        whole.combine(model.losses(*data()), model)
    other = make()
    other.load_state_dict(whole.state_dict())
    first, second = (float(b.combine(model.losses(*data()), model).detach()) for b in (whole, other))
    assert first == second
    assert whole.metrics() == other.metrics() != {}


def test_uncertainty_finds_the_inverse_of_the_losses() -> None:
    model, balance = Tasks(), Uncertainty(rate=0.1)
    for _ in range(80):
        losses = model.losses(*data())
        balance.combine(losses, model)
    for name, loss in losses.items():
        assert balance.metrics()[name] == pytest.approx(1 / (2 * float(loss.detach())), rel=0.05)


def test_evaluation_and_a_single_term_change_no_weight() -> None:
    model = Tasks()
    balance = GradNorm()
    balance.combine({"large": model.losses(*data())["large"]}, model)
    assert balance.weights == {"large": 1.0}
    model.eval()
    balance = GradNorm()
    balance.combine(model.losses(*data()), model)
    assert set(balance.weights.values()) == {1.0}


def test_a_parameter_that_gradients_cannot_be_compared_on_is_refused() -> None:
    model = Tasks()
    with pytest.raises(DoyenError, match="TRN-066"):
        GradNorm(shared="nothing.weight").combine(model.losses(*data()), model)
    losses = model.losses(*data()) | {"apart": nn.Parameter(torch.ones(())) * 1.0}
    with pytest.raises(DoyenError, match="TRN-066"):
        GradNorm().combine(losses, model)


def test_a_recipe_s_table_becomes_the_balance() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(BalancePart)
    assert adapter.validate_python({"kind": "gradnorm", "alpha": 0.5}).build().alpha == 0.5
    assert isinstance(adapter.validate_python({"kind": "uncertainty"}).build(), Uncertainty)
    assert FixedPart().build() is None
