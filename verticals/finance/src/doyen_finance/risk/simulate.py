"""Simulated card payments with three kinds of fraud: the source of the shipped weights and of the tests.

The set-up follows the idea of the Fraud Detection Handbook (cards and terminals in a plane, payments near home, frauds by
amount, by terminal and by card) with distributions of its own; the strengths of the frauds are drawn anew for every seed,
so that a model of many seeds does not learn one simulator's constants. Everything made here is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

_REACH: Final = 12
"""Terminals that a card uses: the nearest ones."""


@dataclass(frozen=True)
class CardWorld:
    """Size of a simulated world; ``start`` is the first day."""

    cards: int = 2000
    terminals: int = 4000
    days: int = 60
    start: str = "2024-01-01"


def simulate_cards(world: CardWorld, seed: int) -> pd.DataFrame:
    """Transactions in the columns of the Fraud Detection Handbook, in time order; same seed, same rows."""
    rng = np.random.default_rng(seed)
    mean = rng.gamma(3.0, 18.0, world.cards) + 4
    spread = rng.uniform(0.3, 0.7, world.cards)
    rate = rng.uniform(0.2, 3.8, world.cards)
    homes, places = rng.uniform(size=(world.cards, 2)), rng.uniform(size=(world.terminals, 2))
    near = cKDTree(places).query(homes, k=min(_REACH, world.terminals))[1].reshape(world.cards, -1)

    count = rng.poisson(np.broadcast_to(rate, (world.days, world.cards)))
    day, card = (index.repeat(count.ravel()) for index in np.indices(count.shape).reshape(2, -1))
    terminal = near[card, rng.integers(near.shape[1], size=len(card))]
    second = np.clip(rng.normal(12.5 * 3600, 5.0 * 3600, len(card)), 0, 86_399).astype(np.int64)
    amount = np.maximum(rng.normal(mean[card], mean[card] * spread[card]), 0.5)

    scenario = np.zeros(len(card), np.int64)
    limit = rng.uniform(180, 320)
    scenario[amount > limit] = 1
    caught = _spells(
        rng, world.days, world.terminals, 0.0002 * rng.uniform(0.7, 1.5), int(rng.integers(18, 36))
    )
    scenario[caught[day, terminal]] = 2
    stolen = _spells(rng, world.days, world.cards, 0.0006 * rng.uniform(0.7, 1.5), int(rng.integers(9, 19)))
    misused = stolen[day, card] & (rng.uniform(size=len(card)) < rng.uniform(0.25, 0.5))
    amount[misused] *= rng.uniform(3.5, 6.5)
    scenario[misused] = 3

    order = np.lexsort((card, second, day))
    when = pd.Timestamp(world.start) + pd.to_timedelta(day[order] * 86_400 + second[order], unit="s")
    return pd.DataFrame(
        {
            "TRANSACTION_ID": np.arange(len(order)),
            "TX_DATETIME": when,
            "CUSTOMER_ID": card[order],
            "TERMINAL_ID": terminal[order],
            "TX_AMOUNT": np.round(amount[order], 2),
            "TX_FRAUD": (scenario[order] > 0).astype(np.int64),
            "TX_FRAUD_SCENARIO": scenario[order],
        }
    )


def _spells(rng: np.random.Generator, days: int, things: int, chance: float, length: int) -> np.ndarray:
    """Which thing is compromised on which day, (days, things): spells begin by chance and last ``length`` days."""
    begins = rng.uniform(size=(days + length, things)) < chance
    running = np.cumsum(begins, axis=0)
    before = np.concatenate([np.zeros((length, things), running.dtype), running[:-length]])
    return (running - before)[length:] > 0
