"""Patch transformer and DLinear: shapes, the inverse of the normalisation, independence of channels, learning."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from doyen_modeling.patch_transformer import ByteDropout, DLinear, PatchConfig, PatchTransformer, RevIN

SMALL = PatchConfig(look_back=48, horizon=12, channels=3, dropout=0.0)


@pytest.mark.parametrize(("look_back", "patches"), [(336, 42), (512, 64), (16, 2), (30, 3)])
def test_the_number_of_patches_is_the_papers(look_back: int, patches: int) -> None:
    config = PatchConfig(look_back, 96, channels=7)
    network = PatchTransformer(config)
    assert config.patches == patches
    assert network.encoder(torch.zeros(2, look_back, 7)).shape == (2, 7, patches, config.width)
    assert network(torch.zeros(2, look_back, 7)).shape == (2, 96, 7)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"look_back": 8, "horizon": 4}, "shorter than a patch"),
        ({"look_back": 48, "horizon": 4, "width": 10}, "split into 4 heads"),
        ({"look_back": 48, "horizon": 0}, "at least 1"),
    ],
)
def test_impossible_sizes_are_refused(wrong: dict[str, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        PatchConfig(**wrong)


@pytest.mark.parametrize("from_last", [False, True])
def test_restoring_undoes_normalising(from_last: bool) -> None:
    torch.manual_seed(0)
    norm = RevIN(3, from_last).double()
    with torch.no_grad():
        norm.weight_C.copy_(torch.tensor([0.5, -2.0, 1.0]))
        norm.bias_C.copy_(torch.tensor([1.0, 0.0, -3.0]))
    x_BLC = torch.randn(4, 20, 3, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 1e5]) + 7
    normalised, moments = norm.normalise(x_BLC)
    torch.testing.assert_close(norm.restore(normalised, moments), x_BLC, rtol=1e-9, atol=1e-9)
    level = (normalised - norm.bias_C)[:, -1] if from_last else (normalised - norm.bias_C).mean(1)
    torch.testing.assert_close(level, torch.zeros(4, 3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_a_shifted_and_stretched_window_gives_the_shifted_and_stretched_forecast() -> None:
    torch.manual_seed(0)
    network = PatchTransformer(SMALL).eval()
    x_BLC = torch.randn(2, 48, 3)
    torch.testing.assert_close(network(x_BLC * 100 + 50), network(x_BLC) * 100 + 50, rtol=1e-3, atol=1e-2)


def test_channels_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    network = PatchTransformer(SMALL).eval()
    x_BLC = torch.randn(2, 48, 3)
    other = x_BLC.clone()
    other[..., 1] += torch.randn(2, 48)
    before, after = network(x_BLC), network(other)
    assert torch.equal(before[..., [0, 2]], after[..., [0, 2]])
    assert not torch.allclose(before[..., 1], after[..., 1])


def test_the_newest_value_reaches_the_forecast_where_the_stride_leaves_a_rest() -> None:
    torch.manual_seed(0)
    network = PatchTransformer(PatchConfig(look_back=30, horizon=4, dropout=0.0)).eval()
    x_BLC = torch.randn(1, 30, 1, requires_grad=True)
    network(x_BLC).sum().backward()
    assert x_BLC.grad is not None
    assert (x_BLC.grad != 0).all()


def test_untrained_from_the_last_value_it_repeats_it() -> None:
    network = PatchTransformer(PatchConfig(look_back=48, horizon=12, from_last=True)).eval()
    x_BLC = torch.randn(5, 48, 1)
    torch.testing.assert_close(network(x_BLC), x_BLC[:, -1:].expand(5, 12, 1))


def test_a_constant_window_stays_finite() -> None:
    for network in (PatchTransformer(SMALL).eval(), DLinear(48, 12)):
        assert torch.isfinite(network(torch.full((2, 48, 3), 5.0))).all()


def test_dropout_takes_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropout = ByteDropout(0.3)
    ones = torch.ones(1000, 1001)
    dropped = dropout(ones)
    assert float((dropped == 0).float().mean()) == pytest.approx(77 / 256, abs=0.002)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.005)
    assert dropout.eval()(ones) is ones


def test_dropout_passes_the_gradient_of_what_it_kept() -> None:
    x = torch.ones(64, 64, requires_grad=True)
    y = ByteDropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_dlinear_is_two_linear_maps_of_trend_and_remainder() -> None:
    torch.manual_seed(0)
    network = DLinear(10, 4, kernel=3)
    x_BLC = torch.randn(2, 10, 1)
    padded = torch.cat([x_BLC[:, :1], x_BLC, x_BLC[:, -1:]], 1)[..., 0]
    trend = torch.stack([padded[:, i : i + 3].mean(1) for i in range(10)], 1)
    expected = network.trend(trend) + network.remainder(x_BLC[..., 0] - trend)
    torch.testing.assert_close(network(x_BLC)[..., 0], expected)
    with pytest.raises(ValueError, match="odd"):
        DLinear(10, 4, kernel=4)


@pytest.mark.parametrize("network", [PatchTransformer(SMALL), DLinear(48, 12)], ids=["patches", "dlinear"])
def test_it_learns_a_handful_of_sines(network: torch.nn.Module) -> None:
    torch.manual_seed(0)
    steps = torch.arange(60)[:, None] + 100 * torch.rand(8, 1, 3)
    series = torch.sin(steps * torch.tensor([0.3, 0.5, 0.7]))
    x_BLC, y_BHC = series[:, :48], series[:, 48:]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        loss = F.mse_loss(network.train()(x_BLC), y_BHC)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(F.mse_loss(network(x_BLC), y_BHC)) < 0.02 * float(y_BHC.var())
