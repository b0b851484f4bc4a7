"""Dealing rules by hand, and the figures against published and closed-form values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from doyen_finance.backtest.figures import (
    annualised,
    block_bootstrap,
    daily_ic,
    deflated_sharpe,
    drawdown,
    expected_best_sharpe,
    ic_figures,
    probabilistic_sharpe,
)
from doyen_finance.backtest.panel import Panel
from doyen_finance.backtest.portfolio import Rules, equal_weight, orders, simulate


def market(returns: list[list[float]], start: float = 10.0) -> Panel:
    """A panel of the given daily returns; NaN is a suspended day."""
    moves = np.array(returns, dtype=float)
    close = start * np.cumprod(1 + np.nan_to_num(moves), axis=0)
    close = np.where(np.isnan(moves), np.nan, close)
    everywhere = np.ones(moves.shape, dtype=bool)
    return Panel(
        pd.bdate_range("2018-07-02", periods=len(moves)), list("ABCDEFGH"[: moves.shape[1]]), close, close, close, close,
        close / (1 + moves), np.where(np.isnan(moves), 0.0, 1.0), np.ones(moves.shape), everywhere, everywhere, {},
    )  # fmt: skip


class TestDealing:
    def test_three_stocks_by_hand(self) -> None:
        """Costs, the least cost, lots, both limits and a suspension, each cent worked out on paper."""
        panel = market([
            [0.00, 0.00, 0.0], [0.00, 0.00, 0.0], [0.10, 0.10, 0.0], [0.00, -0.02, 0.0], [0.00, -0.10, 0.0],
            [0.00, 0.00, np.nan],
        ])  # fmt: skip
        best = [[3, 2, 1], [1, 3, 2], [1, 3, 2], [1, 2, 3], [3, 2, 1], [3, 2, 1]]
        track = simulate(np.array(best, dtype=float), panel, 0, Rules(top=1, drop=1, cash=100_000.0))
        np.testing.assert_allclose(
            track.value,
            [
                100_000 - 47.5,  # day 1: 95 lots of A at 10.00, 95,000 x .0005
                4_952.5
                + 104_500
                - 156.75,  # day 2: A +10 % is sold, x .0015; B at its upper limit is not bought
                109_295.75 - 51.744,  # day 3: 96 lots of B at 10.78 = 103,488, x .0005
                5_756.006
                + 93_139.2
                - 5.0,  # day 4: B at its lower limit is not sold; 5 lots of C, the least cost
                98_890.206,  # day 5: C is suspended and not sold
            ],
        )
        np.testing.assert_allclose(track.cost, [47.5, 156.75, 51.744, 5.0, 0.0])
        np.testing.assert_allclose(track.traded, [95_000, 104_500, 103_488, 5_000, 0.0])
        assert track.holdings.tolist() == [1, 0, 1, 2, 2]
        assert track.refused == 3
        np.testing.assert_allclose(track.turnover[0], 0.475)
        np.testing.assert_allclose(track.cost_drag[1], 156.75 / 99_952.5)
        np.testing.assert_allclose(np.prod(1 + track.returns), 0.98890206)

    def test_without_moves_only_costs_are_lost(self) -> None:
        panel = market([[0.0] * 4] * 6)
        rng = np.random.default_rng(0)
        track = simulate(rng.normal(size=(6, 4)), panel, 0, Rules(top=2, drop=1))
        np.testing.assert_allclose(track.value[-1], 100_000_000 - track.cost.sum())

    def test_no_cash_for_a_lot_is_a_refused_order(self) -> None:
        track = simulate(
            np.array([[1.0], [1.0]]), market([[0.0], [0.0]]), 0, Rules(top=1, drop=1, cash=500.0)
        )
        assert (track.refused, track.value[-1]) == (1, 500.0)

    @pytest.mark.parametrize(
        ("scores", "held", "sell", "buy"),
        [
            ([5, 4, 3, 2, 1], [], [], [0, 1]),  # an empty book is filled from the top
            ([5, 4, 3, 2, 1], [0, 1], [], []),  # the best are held: no better name to change for
            ([5, 4, 3, 2, 1], [0, 4], [4], [1]),  # the worst held gives way to the best not held
            ([1, 2, 3, 4, 5], [0, 1], [0], [4]),  # one a day, not both
            ([np.nan, 4, 3, 2, 1], [0, 1], [0], [2]),  # a held name without score (out of the index) goes first
            ([np.nan] * 5, [0, 1], [1], []),  # nothing is bought without a score; ties go by number
        ],
    )  # fmt: skip
    def test_the_worst_of_book_and_candidates_are_dropped(
        self, scores: list[float], held: list[int], sell: list[int], buy: list[int]
    ) -> None:
        sold, bought = orders(np.array(scores, dtype=float), np.array(held, dtype=int), Rules(top=2, drop=1))
        assert (sold.tolist(), bought.tolist()) == (sell, buy)

    def test_orders_are_those_of_the_published_strategy(self) -> None:
        """The rule of qlib's TopkDropoutStrategy, written with pandas as its documentation states it."""
        rng = np.random.default_rng(5)
        rules = Rules(top=6, drop=2)
        for _ in range(200):
            scores = pd.Series(rng.normal(size=20))
            held = rng.choice(20, rng.integers(0, 9), replace=False)
            last = scores[held].sort_values(ascending=False).index
            rest = scores.drop(held).sort_values(ascending=False).index
            today = list(rest[: max(rules.drop + rules.top - len(last), 0)])
            pool = scores[[*last, *today]].sort_values(ascending=False).index
            sell = {name for name in pool[-rules.drop :] if name in set(last)}
            buy = today[: max(len(sell) + rules.top - len(last), 0)]
            sold, bought = orders(scores.to_numpy(), np.sort(held), rules)
            assert set(sold.tolist()) == sell
            assert bought.tolist() == buy

    def test_the_mean_of_the_members_leaves_suspended_names_out(self) -> None:
        np.testing.assert_allclose(equal_weight(market([[0, 0, 0], [0.03, np.nan, 0.01]]), 0), [0.02])


class TestFigures:
    def test_the_deflated_sharpe_ratio_of_the_paper(self) -> None:
        """Bailey and López de Prado 2014, numerical example: N = 100, V = 1/2 a year, T = 1250, skew -3, kurtosis 10."""
        best = expected_best_sharpe(100, np.sqrt(1 / (2 * 250)))
        assert best == pytest.approx(0.1132, abs=5e-5)
        assert probabilistic_sharpe(2.5 / np.sqrt(250), best, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)

    def test_more_trials_and_no_skill_deflate(self) -> None:
        rng = np.random.default_rng(0)
        returns = rng.normal(0.0006, 0.01, 1000)
        sharpes = list(rng.normal(0, 0.03, 20))
        few, many = (deflated_sharpe(returns, trials, sharpes) for trials in (2, 200))
        assert 0 < many < few < 1
        assert np.isnan(deflated_sharpe(np.zeros(9), 5, sharpes))

    def test_drawdown_counts_a_loss_from_the_start(self) -> None:
        np.testing.assert_allclose(drawdown(np.array([-0.5, 1.0, 0.1, -0.2])), [-0.5, 0.0, 0.0, -0.2])

    def test_a_year_of_one_return_compounds(self) -> None:
        assert annualised(np.full(242, 0.001)) == pytest.approx(1.001**242 - 1)

    def test_the_interval_covers_the_truth_as_often_as_it_says(self) -> None:
        """AR(1) days, whose plain bootstrap interval would be too narrow by half."""
        hits = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            noise = rng.normal(size=900)
            days = noise.copy()
            for t in range(1, len(days)):
                days[t] = 0.5 * days[t - 1] + noise[t]
            low, high = block_bootstrap(days, lambda drawn: float(drawn.mean()), draws=400, seed=seed)
            hits.append(low <= 0 <= high)
        assert 0.85 <= np.mean(hits) <= 1.0

    def test_correlations_within_days(self) -> None:
        rng = np.random.default_rng(0)
        scores = rng.normal(size=(3, 40))
        labels = np.vstack([scores[0] ** 3, -scores[1], np.full(40, 0.01)])
        np.testing.assert_allclose(daily_ic(scores, labels, rank=True), [1, -1, np.nan])
        assert daily_ic(scores, labels, rank=False)[0] < 0.95

    def test_shuffled_labels_give_no_correlation(self) -> None:
        rng = np.random.default_rng(0)
        labels = rng.normal(size=(400, 60))
        scores = labels + rng.normal(size=labels.shape)
        shuffled = rng.permuted(labels, axis=1)
        assert ic_figures(daily_ic(scores, labels, rank=True))["mean"] > 0.6
        assert abs(ic_figures(daily_ic(scores, shuffled, rank=True))["mean"]) < 3 * 0.13 / np.sqrt(400)
