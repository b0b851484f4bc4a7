"""Top-k with dropout (qlib's TopkDropoutStrategy) at the close, with costs, price limits and suspensions.

The scores of day t are dealt at the close of t + 1. A position's value follows the stock's total return; a suspended
one keeps its last value and cannot be traded. Shape legend: T days, N stocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from doyen_finance.backtest.panel import Floats, Panel


@dataclass(frozen=True)
class Rules:
    """The rules of dealing; the defaults are qlib's published ones for the CSI 300."""

    top: int = 50
    drop: int = 5
    cash: float = 100_000_000.0
    invested: float = 0.95
    buy_cost: float = 0.0005
    sell_cost: float = 0.0015
    least_cost: float = 5.0
    limit: float = 0.095
    lot: int = 100


@dataclass(frozen=True)
class Track:
    """A portfolio's days, from the first dealing day on; money in CNY, (T,) each."""

    dates: pd.DatetimeIndex
    value: Floats
    returns: Floats
    cost: Floats
    traded: Floats
    holdings: Floats
    refused: int
    """Orders that a price limit, a suspension or a lack of cash forbade."""

    @property
    def turnover(self) -> Floats:
        """(T,) half of what was bought and sold, over the value before."""
        return self.traded / 2 / (self.value / (1 + self.returns))

    @property
    def cost_drag(self) -> Floats:
        """(T,) costs over the value before."""
        return self.cost / (self.value / (1 + self.returns))


def simulate(scores_TN: Floats, panel: Panel, first: int, rules: Rules | None = None) -> Track:
    """Hold the ``top`` best names, at most ``drop`` replaced a day, from the scores of day ``first`` on."""
    rules = rules or Rules()
    days = range(first + 1, len(panel.dates))
    cash, held = rules.cash, np.zeros(len(panel.symbols))
    records = np.zeros((len(days), 4))
    refused = 0
    for place, day in enumerate(days):
        moves = np.nan_to_num(panel.returns[day])
        held *= 1 + moves
        wanted_sell, wanted_buy = orders(scores_TN[day - 1], np.nonzero(held)[0], rules)
        traded_today = np.isfinite(panel.returns[day])
        costs = volume = 0.0
        for n in wanted_sell:
            if not traded_today[n] or moves[n] <= -rules.limit:
                refused += 1
                continue
            cost = max(rules.least_cost, held[n] * rules.sell_cost)
            cash, costs, volume = cash + held[n] - cost, costs + cost, volume + held[n]
            held[n] = 0.0
        budget = cash * rules.invested / len(wanted_buy) if len(wanted_buy) else 0.0
        for n in wanted_buy:
            price = panel.close[day, n] * rules.lot
            affordable = min(budget, (cash - rules.least_cost) / (1 + rules.buy_cost))
            if not traded_today[n] or moves[n] >= rules.limit or affordable < price:
                refused += 1
                continue
            amount = affordable // price * price
            cost = max(rules.least_cost, amount * rules.buy_cost)
            cash, costs, volume = cash - amount - cost, costs + cost, volume + amount
            held[n] = amount
        records[place] = cash + held.sum(), costs, volume, np.count_nonzero(held)
    value, cost, traded, holdings = records.T
    before = np.concatenate([[rules.cash], value[:-1]])
    return Track(panel.dates[first + 1 :], value, value / before - 1, cost, traded, holdings, refused)


def orders(scores_N: Floats, held: np.ndarray, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """Stocks to sell and to buy, by number. A held name without a score ranks last; ties go by number."""
    worst_first = np.where(np.isfinite(scores_N), scores_N, -np.inf)
    order = np.argsort(-worst_first, kind="stable")
    owned = np.isin(order, held)
    candidates = order[~owned & np.isfinite(scores_N[order])][: max(rules.drop + rules.top - len(held), 0)]
    both = order[np.isin(order, np.concatenate([held, candidates]))]
    sell = both[len(both) - min(rules.drop, len(both)) :]
    sell = sell[np.isin(sell, held)]
    return sell, candidates[: max(len(sell) + rules.top - len(held), 0)]


def equal_weight(panel: Panel, first: int) -> Floats:
    """(T,) mean return of the members of the day before, rebalanced daily, without costs; suspended names left out."""
    returns_TN = np.where(panel.universe[first:-1], panel.returns[first + 1 :], np.nan)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.nanmean(returns_TN, axis=1))
