"""A small network with two heads over the transaction features: fraud, and which of three scenarios it would be.

Trained with torch, applied with numpy. Shape legend: N rows, F features, H hidden units, S scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk.stored import Tensors, unusable

Floats = NDArray[np.float32]

SCENARIOS: Final = 3
_HIDDEN: Final = 96
_DROPOUT: Final = 0.2
_RATE: Final = 2e-3
_DECAY: Final = 1e-3
_BATCH: Final = 1024
_EPOCHS: Final = 12
_SCENARIO_WEIGHT: Final = 0.3
_CLIP: Final = 8.0
_ARRAYS: Final = ("mean", "scale", "w1", "b1", "w2", "b2", "w3", "b3")


@dataclass(frozen=True)
class Network:
    """Inputs are the features and their logarithms, (2F,), standardised; two hidden layers; 1 + S outputs."""

    mean: Floats
    scale: Floats
    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    w3: Floats
    b3: Floats

    def outputs(self, x_NF: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The probability of fraud, (N,), and of each scenario given fraud, (N, S)."""
        h_NH = np.maximum(_standardised(x_NF, self.mean, self.scale) @ self.w1.T + self.b1, 0)
        h_NH = np.maximum(h_NH @ self.w2.T + self.b2, 0)
        z = (h_NH @ self.w3.T + self.b3).astype(np.float64)
        e_NS = np.exp(z[:, 1:] - z[:, 1:].max(1, keepdims=True))
        return 1 / (1 + np.exp(-z[:, 0])), e_NS / e_NS.sum(1, keepdims=True)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays under ``network.name``, for safetensors."""
        return {f"network.{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def load(cls, tensors: Tensors, features: int) -> Self:
        """Raises FIN-075: an array is missing or of another width."""
        made = cls(*(tensors[f"network.{name}"].astype(np.float32) for name in _ARRAYS))
        if made.mean.shape != (2 * features,) or made.b3.shape != (1 + SCENARIOS,):
            raise unusable("the network has another width than the features.")
        return made


def fit_network(
    x_NF: NDArray[Any], fraud_N: NDArray[np.int64], scenario_N: NDArray[np.int64] | None, seed: int
) -> Network:
    """Adam with a one-cycle rate; the scenario head learns from frauds of a named scenario only, where there are any."""
    import torch
    from torch.nn import functional

    wide = _wide(x_NF)
    mean, scale = wide.mean(0), wide.std(0) + 1e-6
    x = torch.from_numpy(_standardised(x_NF, mean, scale))
    fraud = torch.from_numpy(fraud_N.astype(np.float32))
    scenario = torch.from_numpy(
        np.zeros(len(x), np.int64) if scenario_N is None else scenario_N.astype(np.int64)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [
            torch.nn.Linear(x.shape[1], _HIDDEN),
            torch.nn.Linear(_HIDDEN, _HIDDEN),
            torch.nn.Linear(_HIDDEN, 1 + SCENARIOS),
        ]
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
        steps = _EPOCHS * -(-len(x) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
        for _ in range(_EPOCHS):
            for batch in torch.randperm(len(x)).split(_BATCH):
                hidden = x[batch]
                for layer in layers[:2]:
                    hidden = functional.dropout(functional.relu(layer(hidden)), _DROPOUT)
                z = layers[2](hidden)
                loss = functional.binary_cross_entropy_with_logits(z[:, 0], fraud[batch])
                named = scenario[batch] > 0
                if named.any():
                    loss = loss + _SCENARIO_WEIGHT * named.float().mean() * functional.cross_entropy(
                        z[named][:, 1:], scenario[batch][named] - 1
                    )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    weights = [array.detach().numpy() for layer in layers for array in (layer.weight, layer.bias)]
    return Network(mean, scale, *weights)


def _wide(x_NF: NDArray[Any]) -> Floats:
    x_NF = np.asarray(x_NF, np.float32)
    return np.concatenate([x_NF, np.log1p(np.maximum(x_NF, 0))], axis=1)


def _standardised(x_NF: NDArray[Any], mean: Floats, scale: Floats) -> Floats:
    return np.clip((_wide(x_NF) - mean) / scale, -_CLIP, _CLIP).astype(np.float32)
