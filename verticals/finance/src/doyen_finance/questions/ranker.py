"""The ranker: a small network over a candidate's features, trained on whether the chosen candidate is right.

Shapes: N candidates of a question, F features, H hidden units, M networks that are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Ranker:
    """``mean`` and ``deviation`` (F,) standardise; ``first`` (M, F + 1, H) and ``second`` (M, H + 1) score, biases last."""

    mean: np.ndarray
    deviation: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def probabilities(self, features_NF: np.ndarray) -> np.ndarray:
        """The probability of each candidate (N,), summing to one."""
        x_NF = np.clip((features_NF - self.mean) / self.deviation, -6, 6).astype(np.float32)
        total = np.zeros(len(x_NF))
        for first, second in zip(self.first, self.second, strict=True):
            hidden_NH = np.maximum(x_NF @ first[:-1] + first[-1], 0)
            logits_N = hidden_NH @ second[:-1] + second[-1]
            weights_N = np.exp(logits_N - logits_N.max())
            total += weights_N / weights_N.sum()
        return total / len(self.first)


def fit_ranker(
    features: Sequence[np.ndarray],
    right: Sequence[Sequence[int]],
    seed: int,
    networks: int = 3,
    hidden: int = 48,
    epochs: int = 12,
    rate: float = 3e-3,
    decay: float = 0.02,
    batch: int = 16,
) -> Ranker:
    """Maximise the probability that falls on right candidates (marginal likelihood), questions with none left out."""
    import torch
    from torch import nn

    kept = [i for i, r in enumerate(right) if len(r)]
    sample = np.concatenate([features[i] for i in kept])
    mean, deviation = sample.mean(0), sample.std(0)
    deviation = np.where(deviation < 1e-4, 1.0, deviation)
    inputs = [
        torch.from_numpy(np.clip((features[i] - mean) / deviation, -6, 6).astype(np.float32)) for i in kept
    ]
    firsts, seconds = [], []
    for number in range(networks):
        torch.manual_seed(seed + number)
        rng = np.random.default_rng(seed + number)
        width = inputs[0].shape[1]
        one, two = nn.Linear(width, hidden), nn.Linear(hidden, 1)
        net = nn.Sequential(one, nn.ReLU(), nn.Dropout(0.2), two)
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
        steps = epochs * -(-len(kept) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
        for _ in range(epochs):
            order = rng.permutation(len(kept))
            for start in range(0, len(order), batch):
                chosen = order[start : start + batch]
                sizes = [len(inputs[i]) for i in chosen]
                logits = net(torch.cat([inputs[i] for i in chosen])).squeeze(-1)
                loss = torch.zeros(())
                for i, part in zip(chosen, logits.split(sizes), strict=True):
                    hits = torch.tensor(list(right[kept[i]]))
                    loss = loss + part.logsumexp(0) - part[hits].logsumexp(0)
                optimizer.zero_grad()
                (loss / len(chosen)).backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            firsts.append(np.vstack([one.weight.numpy().T, one.bias.numpy()]))
            seconds.append(np.append(two.weight.numpy()[0], two.bias.numpy()))
    return Ranker(mean, deviation, np.stack(firsts), np.stack(seconds))
