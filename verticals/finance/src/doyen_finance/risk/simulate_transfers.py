"""Simulated transfers between accounts with laundering typologies and honest look-alikes; everything here is simulated.

Typologies as in the literature on synthetic laundering data (Altman et al. 2023, arXiv:2306.16424): fan-in, fan-out,
cycle, scatter-gather. Look-alikes: wages (fan-out), rents and sales
(fan-in), loans that go round among friends (cycles), staff in the firm's housing (scatter-gather).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

TYPOLOGIES: Final = ("fan_in", "fan_out", "cycle", "scatter_gather")
_HOUR: Final = 3600
_DAY: Final = 86_400


@dataclass(frozen=True)
class TransferWorld:
    """Size of a simulated bank; ``patterns`` of each typology. Accounts fall into two halves by parity."""

    accounts: int = 4000
    days: int = 60
    patterns: int = 60
    start: str = "2024-01-01"


class _Transfers:
    """Rows in the making."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, int, int, float, str, int]] = []

    def add(
        self, when: float, source: int, target: int, amount: float, typology: str = "", pattern: int = -1
    ) -> None:
        self.rows.append((when, source, target, round(max(amount, 1.0), 2), typology, pattern))


def simulate_transfers(world: TransferWorld, seed: int) -> pd.DataFrame:
    """``TRANSFER_ID, DATETIME, FROM, TO, AMOUNT, TYPOLOGY, PATTERN`` in time order; same seed, same rows.

    ``TYPOLOGY`` is empty for honest transfers. Accounts of a pattern or look-alike are all even or all odd numbers, so
    that the two halves can be told apart without cutting a pattern.
    """
    rng = np.random.default_rng(seed)
    made = _Transfers()
    _payments(made, world, rng)
    _look_alikes(made, world, rng)
    for pattern in range(world.patterns * len(TYPOLOGIES)):
        kind = TYPOLOGIES[pattern % len(TYPOLOGIES)]
        begin = rng.uniform(0, world.days - 12) * _DAY
        _PATTERNS[kind](made, rng, _half(world, rng, (pattern // len(TYPOLOGIES)) % 2), begin, pattern)
    table = pd.DataFrame(made.rows, columns=["second", "FROM", "TO", "AMOUNT", "TYPOLOGY", "PATTERN"])
    table = table[table["second"] < world.days * _DAY].sort_values(
        ["second", "FROM", "TO"], ignore_index=True
    )
    table.insert(0, "TRANSFER_ID", np.arange(len(table)))
    when = pd.Timestamp(world.start) + pd.to_timedelta(table.pop("second").astype(np.int64), unit="s")
    table.insert(1, "DATETIME", when)
    return table


def _half(world: TransferWorld, rng: np.random.Generator, parity: int) -> np.ndarray:
    """Accounts of one half in random order."""
    return rng.permutation(np.arange(parity, world.accounts, 2))


def _payments(made: _Transfers, world: TransferWorld, rng: np.random.Generator) -> None:
    """Everyday transfers: mostly to the same few payees, amounts log-normal by account, a few large ones."""
    level = rng.normal(5.0, 0.9, world.accounts)
    count = rng.poisson(rng.gamma(1.5, 0.12, world.accounts) * world.days)
    for account in range(world.accounts):
        payees = rng.integers(world.accounts // 2, size=4) * 2 + account % 2
        for _ in range(count[account]):
            usual = rng.uniform() < 0.7
            target = int(rng.choice(payees)) if usual else int(rng.integers(world.accounts))
            amount = rng.lognormal(level[account], 0.8) * (30 if rng.uniform() < 0.02 else 1)
            if target != account:
                made.add(rng.uniform(0, world.days) * _DAY, account, target, amount)


def _look_alikes(made: _Transfers, world: TransferWorld, rng: np.random.Generator) -> None:
    for number in range(max(world.accounts // 40, 4)):
        pool = _half(world, rng, number % 2)
        employer, staff = int(pool[0]), pool[1 : 1 + rng.integers(5, 40)]
        pay, day = rng.lognormal(7.9, 0.35, len(staff)), rng.integers(28)
        landlord, tenants = int(pool[50]), pool[51 : 51 + rng.integers(4, 25)]
        rent, due = rng.lognormal(6.9, 0.4, len(tenants)), rng.integers(28)
        seller, buyers = int(pool[90]), pool[91 : 91 + rng.integers(4, 12)]
        sale, price = rng.uniform(0, world.days - 5), rng.lognormal(8.6, 0.7)
        for month in range(0, world.days, 30):
            for person, wage in zip(staff, pay, strict=True):
                made.add((month + day + rng.uniform(0.3, 0.5)) * _DAY, employer, int(person), wage)
            for person, amount in zip(tenants, rent, strict=True):
                made.add((month + due + rng.uniform(0, 4)) * _DAY, int(person), landlord, amount)
        # A one-off sale to several new buyers looks like a fan-in; paying suppliers afterwards like passing on.
        for person in buyers:
            made.add((sale + rng.uniform(0, 3)) * _DAY, int(person), seller, price * rng.uniform(0.5, 1.5))
        for person in pool[110 : 110 + rng.integers(1, 6)]:
            made.add((sale + rng.uniform(2, 6)) * _DAY, seller, int(person), price * rng.uniform(0.3, 3))
        for begin in rng.uniform(0, world.days - 10, 3):
            ring = [int(p) for p in rng.permutation(pool[120:200])[: rng.integers(2, 6)]]
            lent, gap = rng.lognormal(7.0, 1.2), rng.uniform(0.2, 2.5)
            for hop, person in enumerate(ring):
                back = ring[(hop + 1) % len(ring)]
                made.add((begin + hop * gap) * _DAY, person, back, lent * rng.uniform(0.75, 1.02))
        # Staff who live in the firm's housing: wages scatter, rents gather.
        if rng.uniform() < 0.6:
            house, paid = int(pool[200]), rng.uniform(0, world.days - 6)
            for person in pool[201 : 201 + rng.integers(3, 9)]:
                wage = rng.lognormal(7.9, 0.35)
                made.add((paid + rng.uniform(0, 0.3)) * _DAY, employer, int(person), wage)
                spent = wage * rng.uniform(0.45, 0.97)
                made.add((paid + rng.uniform(0.5, 4)) * _DAY, int(person), house, spent)


def _fan_in(made: _Transfers, rng: np.random.Generator, pool: np.ndarray, begin: float, pattern: int) -> None:
    """Many small payers, one collector, sums under a reporting limit; most is passed on."""
    hub, payers = int(pool[0]), pool[1 : 1 + rng.integers(4, 14)]
    size, total = rng.lognormal(8.3, 0.6), 0.0
    for person in payers:
        amount = min(size * rng.uniform(0.6, 1.4), rng.uniform(8500, 9990))
        total += amount
        made.add(begin + rng.uniform(0, 3 * _DAY), int(person), hub, amount, "fan_in", pattern)
    made.add(
        begin + rng.uniform(3, 5) * _DAY,
        hub,
        int(pool[20]),
        total * rng.uniform(0.8, 0.99),
        "fan_in",
        pattern,
    )


def _fan_out(
    made: _Transfers, rng: np.random.Generator, pool: np.ndarray, begin: float, pattern: int
) -> None:
    """One sum comes in and leaves in parts to many accounts."""
    hub, takers = int(pool[0]), pool[1 : 1 + rng.integers(4, 14)]
    size = rng.lognormal(8.3, 0.6)
    parts = np.minimum(size * rng.uniform(0.6, 1.4, len(takers)), rng.uniform(8500, 9990, len(takers)))
    made.add(begin, int(pool[20]), hub, float(parts.sum()) * rng.uniform(1.01, 1.2), "fan_out", pattern)
    for person, amount in zip(takers, parts, strict=True):
        made.add(begin + rng.uniform(0.1, 3) * _DAY, hub, int(person), float(amount), "fan_out", pattern)


def _cycle(made: _Transfers, rng: np.random.Generator, pool: np.ndarray, begin: float, pattern: int) -> None:
    """A sum goes round three to six accounts, less a fee at each hop."""
    ring = [int(person) for person in pool[: rng.integers(3, 7)]]
    amount, when = rng.lognormal(8.6, 0.9), begin
    for hop, person in enumerate(ring):
        made.add(when, person, ring[(hop + 1) % len(ring)], amount, "cycle", pattern)
        amount *= rng.uniform(0.9, 0.995)
        when += rng.uniform(2 * _HOUR, 1.5 * _DAY)


def _scatter_gather(
    made: _Transfers, rng: np.random.Generator, pool: np.ndarray, begin: float, pattern: int
) -> None:
    """One account pays several, who all pay one other account within days."""
    source, target, mules = int(pool[0]), int(pool[1]), pool[2 : 2 + rng.integers(3, 10)]
    size = rng.lognormal(8.2, 0.6)
    for person in mules:
        amount, when = size * rng.uniform(0.6, 1.4), begin + rng.uniform(0, 2) * _DAY
        made.add(when, source, int(person), amount, "scatter_gather", pattern)
        when += rng.uniform(0.2, 3) * _DAY
        made.add(when, int(person), target, amount * rng.uniform(0.85, 0.99), "scatter_gather", pattern)


_PATTERNS: Final = {
    "fan_in": _fan_in,
    "fan_out": _fan_out,
    "cycle": _cycle,
    "scatter_gather": _scatter_gather,
}
