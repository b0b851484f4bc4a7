"""The audit on strategies with one leak each: the check that is meant for it must fail, and an honest one pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from doyen_finance.backtest import walk
from doyen_finance.backtest.audit import Finding, audit, permuted, with_planted_future
from doyen_finance.backtest.membership import csi300_spells
from doyen_finance.backtest.panel import KEY, wide
from doyen_finance.backtest.stocks import strategy
from doyen_schemas import DoyenError

FIRST = pd.Timestamp("2018-07-01")


def signal(frame: pd.DataFrame) -> pd.Series:
    """Yesterday's return turned around, by (trade_date, ts_code); 0 where there was no trade."""
    frame = frame.sort_values(KEY).set_index(KEY)
    return -(frame["close"] / frame["pre_close"] - 1).fillna(0.0)


def scored(values: pd.Series, frame: pd.DataFrame) -> pd.Series:
    member = frame.set_index(KEY)["member"].reindex(values.index)
    return values[member.to_numpy(bool) & (values.index.get_level_values(0) >= FIRST)]


def label(frame: pd.DataFrame) -> pd.Series:
    returns = -signal(frame)
    return returns.groupby(level="ts_code").shift(-2)


def honest(frame: pd.DataFrame) -> pd.Series:
    return scored(signal(frame), frame)


def scaler_over_everything(frame: pd.DataFrame) -> pd.Series:
    values = signal(frame)
    return scored((values - values.mean()) / values.std(), frame)


def peeks(frame: pd.DataFrame) -> pd.Series:
    return scored((signal(frame) + 0.02 * label(frame)).dropna(), frame)


def drops_rows_without_label(frame: pd.DataFrame) -> pd.Series:
    return scored(signal(frame)[label(frame).notna()], frame)


def drops_extreme_labels(frame: pd.DataFrame) -> pd.Series:
    known = label(frame)
    return scored(signal(frame)[~(known.abs() > 0.08)], frame)


def no_embargo(frame: pd.DataFrame) -> pd.Series:
    """Refitted each quarter on all rows before it, also those whose label reaches into it."""
    values, known = signal(frame), label(frame)
    dates = values.index.get_level_values(0)
    parts = []
    for _, days in pd.Series(dates.unique()).groupby(lambda n: dates.unique()[n].to_period("Q")):
        before = dates < days.min()
        slope = float((values[before] * known[before]).sum()) if before.any() else 0.0
        now = (dates >= days.min()) & (dates <= days.max())
        parts.append(values[now] * (1 + slope))
    return scored(pd.concat(parts), frame)


def ignores_membership(frame: pd.DataFrame) -> pd.Series:
    values = signal(frame)
    return values[values.index.get_level_values(0) >= FIRST]


def failed(findings: list[Finding]) -> set[str]:
    return {finding.check for finding in findings if not finding.passed}


class TestLeaksAreCaught:
    def test_an_honest_strategy_passes(self, panel: pd.DataFrame) -> None:
        findings = audit(honest, panel, csi300_spells())
        assert failed(findings) == set(), findings
        assert {finding.check for finding in findings} >= {
            "scaler",
            "embargo",
            "label_free",
            "planted_future",
        }

    @pytest.mark.parametrize(
        ("leaky", "check"),
        [
            (scaler_over_everything, "scaler"),
            (peeks, "future_permuted"),
            (drops_rows_without_label, "label_free"),
            (drops_extreme_labels, "scaler"),
            (no_embargo, "embargo"),
        ],
    )
    def test_each_leak_fails_its_check(
        self, leaky: Callable[[pd.DataFrame], pd.Series], check: str, panel: pd.DataFrame
    ) -> None:
        assert check in failed(audit(leaky, panel))

    def test_a_missing_embargo_is_seen_only_at_the_refit(self, panel: pd.DataFrame) -> None:
        assert "future_permuted" not in failed(audit(no_embargo, panel))

    def test_a_permutation_alone_would_not_see_the_scaler(self, panel: pd.DataFrame) -> None:
        """Moments do not change when days are shuffled: that is why later values are blown up too."""
        cut = pd.Timestamp("2018-08-15")
        shuffled = permuted(panel, cut, 0)
        kept = panel[panel["trade_date"] <= shuffled["trade_date"].max()]
        assert signal(shuffled).std() == pytest.approx(signal(kept).std())

    def test_scores_of_no_members_fail(self, panel: pd.DataFrame) -> None:
        code = panel["ts_code"].iloc[0]
        without = panel.assign(member=panel["member"] & (panel["ts_code"] != code))
        assert "members_only" in failed(audit(ignores_membership, without))
        assert failed(audit(honest, without, csi300_spells())) == set()

    def test_a_membership_from_the_future_fails(self, panel: pd.DataFrame) -> None:
        code = panel["ts_code"].iloc[0]
        spells = csi300_spells()
        late = spells.assign(
            start=spells["start"].where(spells["ts_code"] != code, pd.Timestamp("2018-12-17"))
        )
        late = late[~((late["ts_code"] == code) & late["ts_code"].duplicated())]
        found = {finding.check: finding for finding in audit(honest, panel, late)}
        assert not found["point_in_time"].passed
        assert found["point_in_time"].value > 500

    def test_a_day_that_is_there_twice_fails_before_anything_runs(self, panel: pd.DataFrame) -> None:
        def never(frame: pd.DataFrame) -> pd.Series:
            raise AssertionError

        findings = audit(never, pd.concat([panel, panel.tail(3)]))
        assert failed(findings) == {"duplicated_rows"}
        assert findings[0].value == 3

    def test_an_own_column_that_knows_the_label_fails(self, panel: pd.DataFrame) -> None:
        known = label(panel).reindex(pd.MultiIndex.from_frame(panel[KEY])).to_numpy()
        noise = np.random.default_rng(0).normal(0, 0.05, len(panel))
        findings = {f.check: f for f in audit(honest, panel.assign(x_good=noise, x_leak=known + noise))}
        assert not findings["columns"].passed
        assert "x_leak" in findings["columns"].note

    def test_what_is_changed_lies_after_the_cut(self, panel: pd.DataFrame) -> None:
        cut = pd.Timestamp("2018-08-15")
        shuffled = permuted(panel, cut, 0)
        before = shuffled[shuffled["trade_date"] <= cut]
        pd.testing.assert_frame_equal(before, panel[panel["trade_date"] <= cut], check_dtype=False)
        after = shuffled[shuffled["trade_date"] > cut]
        same = panel[(panel["trade_date"] > cut) & (panel["trade_date"] <= after["trade_date"].max())]
        assert (after["close"].to_numpy() != same["close"].to_numpy()).mean() > 0.9
        pd.testing.assert_series_equal(
            after.groupby("ts_code")["close"].sum(), same.groupby("ts_code")["close"].sum(), check_dtype=False
        )


class TestBuiltIn:
    def test_the_ridge_passes(self, panel: pd.DataFrame) -> None:
        findings = audit(strategy("ridge"), panel, csi300_spells())
        assert failed(findings) == set(), findings

    def test_a_planted_column_makes_the_ridge_fail(self, panel: pd.DataFrame) -> None:
        findings = audit(with_planted_future(strategy("ridge")), panel)
        assert {"rank_ic", "future_permuted", "embargo"} <= failed(findings)

    def test_a_ridge_without_its_embargo_fails(
        self, panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def late(dates: pd.DatetimeIndex) -> walk.Plan:
            choice, folds = plan(dates)
            return walk.Plan(
                choice, tuple(dataclasses.replace(fold, train_stop=fold.start) for fold in folds)
            )

        plan = walk.plan
        monkeypatch.setattr(walk, "plan", late)
        assert "embargo" in failed(audit(strategy("ridge"), panel))

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_the_network_passes(self, panel: pd.DataFrame) -> None:
        findings = audit(strategy("network"), panel, csi300_spells())
        assert failed(findings) == set(), findings


class TestMisuse:
    def test_a_panel_without_its_columns_is_refused(self, panel: pd.DataFrame) -> None:
        for broken in (panel.drop(columns="member"), panel.iloc[:0]):
            with pytest.raises(DoyenError, match="FIN-067"):
                audit(honest, broken)

    @pytest.mark.parametrize(
        "strange",
        [
            lambda frame: frame["close"],
            lambda frame: pd.concat([honest(frame), honest(frame)]),
            lambda frame: honest(frame).rename(index=lambda _: pd.Timestamp("1999-01-01"), level=0).iloc[:1],
            lambda frame: honest(frame).loc[["2018-07-02"]],
            lambda frame: 1,
        ],
    )
    def test_scores_that_cannot_be_judged_are_refused(
        self, strange: Callable[[pd.DataFrame], pd.Series], panel: pd.DataFrame
    ) -> None:
        with pytest.raises(DoyenError, match="FIN-067"):
            audit(strange, panel)

    def test_the_strategy_cannot_change_the_panel(self, panel: pd.DataFrame) -> None:
        def vandal(frame: pd.DataFrame) -> pd.Series:
            found = honest(frame)
            frame.loc[:, "close"] = 1.0
            return found

        before = panel["close"].copy()
        audit(vandal, panel)
        pd.testing.assert_series_equal(panel["close"], before)
        assert np.isfinite(wide(panel).labels).any()
