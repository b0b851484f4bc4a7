"""Training of a forecasting network on windows of series, stopped by the validation windows.

Shapes: T steps of all series one after the other, C channels, B windows, L look-back, H horizon.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. ``share``: of the windows an epoch draws; ``average``: decay of the weights' mean."""

    epochs: int = 12
    patience: int = 3
    batch: int = 128
    rate: float = 1e-3
    warm_up: float = 0.1
    weight_decay: float = 0.0
    share: float = 1.0
    average: float = 0.99
    seed: int = 17

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Windows:
    """Windows of ``look_back + horizon`` steps of (T, C) values, each beginning at one of ``starts``."""

    values_TC: Tensor
    starts: Tensor
    look_back: int
    horizon: int

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Look-backs (B, L, C) and what follows them (B, H, C) of the windows with these numbers."""
        steps = self.starts[chosen][:, None] + torch.arange(self.look_back + self.horizon)
        window = self.values_TC[steps]
        return window[:, : self.look_back], window[:, self.look_back :]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All windows in order; the last batch may be smaller and is kept."""
        for chosen in torch.arange(len(self)).split(size):
            yield self.at(chosen)


@dataclass(frozen=True)
class Fitted:
    """What training reports: the epochs run, the one kept (from 1), its validation MSE, seconds an epoch."""

    epochs: int
    best_epoch: int
    valid_mse: float
    seconds_per_epoch: float


def mean_squared_error(network: nn.Module, windows: Windows, batch: int = 256) -> float:
    """MSE over all windows, steps and channels."""
    total = 0.0
    network.eval()
    with torch.inference_mode():
        for x_BLC, y_BHC in windows.batches(batch):
            total += float(F.mse_loss(network(x_BLC), y_BHC, reduction="sum"))
    return total / (len(windows) * windows.horizon * windows.values_TC.shape[1])


def fit(
    network: nn.Module,
    train: Windows,
    valid: Windows,
    recipe: Recipe,
    log: Callable[[str], None] | None = None,
) -> Fitted:
    """Train ``network`` in place by Adam with one cosine cycle, and leave it at its best epoch on ``valid``.

    What is validated and kept is a running mean of the weights, which is steadier than the weights themselves. The
    untrained network is epoch 0: where training never helps, it stays.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    drawn = max(1, round(len(train) * recipe.share))
    steps = -(-drawn // recipe.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    # One cycle needs two steps of rise and one of fall.
    total = max(3, recipe.epochs * steps)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.rate,
        total_steps=total,
        pct_start=max(recipe.warm_up, 2 / total),
        cycle_momentum=False,
    )
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)
    best, best_epoch = mean_squared_error(network, valid), 0
    best_state = {name: value.clone() for name, value in network.state_dict().items()}
    epoch, seconds = 0, []
    for epoch in range(1, recipe.epochs + 1):
        begun = time.perf_counter()
        network.train()
        for chosen in torch.randperm(len(train), generator=generator)[:drawn].split(recipe.batch):
            x_BLC, y_BHC = train.at(chosen)
            loss = F.mse_loss(network(x_BLC), y_BHC)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            mean.update_parameters(network)
        seconds.append(time.perf_counter() - begun)
        score = mean_squared_error(mean.module, valid)
        if log:
            log(f"epoch {epoch}: valid {score:.4f}, train {loss.item():.4f}, {seconds[-1]:.1f} s")
        if score < best:
            best, best_epoch = score, epoch
            best_state = {name: value.clone() for name, value in mean.module.state_dict().items()}
        elif epoch - best_epoch >= recipe.patience:
            break
    network.load_state_dict(best_state)
    network.eval()
    return Fitted(epoch, best_epoch, best, sum(seconds) / len(seconds))
