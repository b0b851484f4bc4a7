"""A patch transformer over 60 days of four ranked channels, with the factors of the day beside it, to one score.

Shape legend: B rows, L days, C channels, D width, F factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from doyen_finance.backtest.figures import daily_ic, ic_figures
from doyen_finance.backtest.inputs import Inputs, Rows
from doyen_finance.backtest.panel import Floats
from doyen_finance.backtest.walk import Fold
from doyen_modeling.patch_transformer import PatchConfig, PatchEncoder

LOOK_BACK: Final = 60
MOST_EPOCHS: Final = 4
"""Each number of epochs up to this is tried on the validation part and counts as a trial."""
_SHARE: Final = 0.5
"""Of the training days that an epoch sees, drawn anew: neighbouring windows differ by one day in 60."""
_DAYS_A_BATCH: Final = 4
_ROWS_AT_ONCE: Final = 4096


class RankingNetwork(nn.Module):
    """Patch states averaged over time, all channels together with the factors, one hidden layer, one score."""

    def __init__(self, channels: int, factors: int) -> None:
        super().__init__()
        config = PatchConfig(
            look_back=LOOK_BACK, horizon=1, channels=channels, patch=20, stride=20, width=16, heads=2,
            feedforward=32, layers=1, dropout=0.2,
        )  # fmt: skip
        self.encoder = PatchEncoder(config)
        self.head = nn.Sequential(
            nn.Linear(channels * config.width + factors, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 1)
        )

    def forward(self, window_BLC: Tensor, factors_BF: Tensor) -> Tensor:
        """(B,) scores."""
        states_BX = self.encoder(window_BLC).mean(2).flatten(1)
        return self.head(torch.cat([states_BX, factors_BF], dim=1)).squeeze(1)


class NetworkLearner:
    """The network with one seed; the number of epochs is chosen on the validation part by rank IC."""

    def __init__(self, seed: int, most_epochs: int = MOST_EPOCHS, rate: float = 1e-3) -> None:
        self.seed = seed
        self.most_epochs = most_epochs
        self.rate = rate
        self.epochs = 1

    def choose(self, inputs: Inputs, fold: Fold) -> None:
        """Train on what lies before the fold, keep the epoch with the best rank IC on it."""
        if self.most_epochs == 1:
            return
        labels = inputs.target_TN[fold.start : fold.stop]
        found: list[float] = []

        def watch(network: RankingNetwork) -> None:
            found.append(ic_figures(daily_ic(_predict(network, inputs, fold), labels, rank=True))["mean"])

        self._train(inputs, fold.train_stop, self.most_epochs, watch)
        self.epochs = int(np.nanargmax(found)) + 1 if np.isfinite(found).any() else 1

    def scores(self, inputs: Inputs, fold: Fold) -> Floats:
        """(stop - start, N) scores of the fold."""
        return _predict(self._train(inputs, fold.train_stop, self.epochs), inputs, fold)

    def chosen(self) -> dict[str, float]:
        return {"epochs": self.epochs}

    def _train(
        self, inputs: Inputs, stop: int, epochs: int, watch: Callable[[RankingNetwork], None] | None = None
    ) -> RankingNetwork:
        """From scratch on the days before ``stop``; the same seed gives the same weights on one thread."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            order = np.random.default_rng(self.seed)
            network = RankingNetwork(inputs.channels_TNC.shape[-1], inputs.factors_TNF.shape[-1])
            optimiser = torch.optim.AdamW(network.parameters(), lr=self.rate, weight_decay=0.01)
            train = inputs.training_rows(stop)
            by_day = np.split(np.arange(len(train.t_M)), np.flatnonzero(np.diff(train.t_M)) + 1)
            for _ in range(epochs):
                network.train()
                days = order.permutation(len(by_day))[: max(1, round(_SHARE * len(by_day)))]
                for start in range(0, len(days), _DAYS_A_BATCH):
                    picked = np.concatenate([by_day[day] for day in days[start : start + _DAYS_A_BATCH]])
                    rows = Rows(train.t_M[picked], train.n_M[picked])
                    target_B = torch.from_numpy(inputs.target_TN[rows.t_M, rows.n_M]).float()
                    loss = nn.functional.mse_loss(network(*_batch(inputs, rows)), target_B)
                    optimiser.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                    optimiser.step()
                if watch is not None:
                    watch(network)
        return network


def _batch(inputs: Inputs, rows: Rows) -> tuple[Tensor, Tensor]:
    """The rows' windows (B, L, C), zeros before the first day, and factors (B, F)."""
    days_BL = rows.t_M[:, None] + np.arange(1 - LOOK_BACK, 1)
    window_BLC = inputs.channels_TNC[np.maximum(days_BL, 0), rows.n_M[:, None]]
    window_BLC[days_BL < 0] = 0.0
    factors_BF = inputs.factors_TNF[rows.t_M, rows.n_M]
    return torch.from_numpy(window_BLC).float(), torch.from_numpy(factors_BF).float()


@torch.no_grad()
def _predict(network: RankingNetwork, inputs: Inputs, fold: Fold) -> Floats:
    network.eval()
    rows = inputs.scored_rows(fold.start, fold.stop)
    parts = [
        network(*_batch(inputs, Rows(rows.t_M[at : at + _ROWS_AT_ONCE], rows.n_M[at : at + _ROWS_AT_ONCE])))
        for at in range(0, len(rows.t_M), _ROWS_AT_ONCE)
    ]
    values_M = torch.cat(parts).double().numpy() if parts else np.zeros(0)
    return inputs.scatter(values_M, rows, fold.start, fold.stop)
