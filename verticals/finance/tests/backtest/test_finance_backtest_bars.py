"""Bars, membership and the panel: what is refused, what is flagged, what is kept."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from doyen_finance.backtest.bars import COLUMNS, check_bars, read_bars
from doyen_finance.backtest.factors import FACTORS, ranked
from doyen_finance.backtest.inputs import inputs_of
from doyen_finance.backtest.membership import check_spells, csi300_spells, members
from doyen_finance.backtest.panel import long_scores, panel_frame, wide, wide_scores
from doyen_finance.backtest.walk import plan
from doyen_schemas import DoyenError


def few(dates: list[str], codes: list[str] | None = None) -> pd.DataFrame:
    rows = [
        (date, code, 10.0, 10.5, 9.5, 10.0, 10.0, 100.0, 100.0)
        for date in dates
        for code in codes or ["600519.SH"]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


DAYS = ["20180102", "20180103", "20180104", "20180105"]


class TestBars:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"a,b\n1,2\n",
            b"\x1f\x8b\x08broken",
            b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 50,
            b"\xff\xfe\x00nonsense",
        ],
    )
    def test_a_file_that_is_no_table_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / ("x.csv.gz" if content.startswith(b"\x1f") else "x.csv")
        path.write_bytes(content)
        with pytest.raises(DoyenError, match="FIN-060"):
            read_bars(path)

    def test_no_file_a_folder_and_no_rows_are_refused(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.csv", tmp_path):
            with pytest.raises(DoyenError, match="FIN-060"):
                read_bars(path)
        with pytest.raises(DoyenError, match="FIN-060"):
            check_bars(few([]))

    @pytest.mark.parametrize("name", ["x.csv.zip", "x.csv.xz", "x.csv.bz2"])
    def test_other_archives_are_refused_whatever_they_hold(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"PK\x03\x04 nonsense")
        with pytest.raises(DoyenError, match="FIN-060"):
            read_bars(tmp_path / name)

    def test_own_columns_are_read_and_words_in_them_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        few(DAYS).assign(x_mine=[1.5, None, 2, 3], other="text").to_csv(path, index=False)
        bars, _, _ = read_bars(path)
        np.testing.assert_array_equal(bars["x_mine"], [1.5, np.nan, 2, 3])
        assert "other" not in bars
        np.testing.assert_array_equal(
            wide(panel_frame(bars, csi300_spells())).extra["x_mine"][:, 0], [1.5, np.nan, 2, 3]
        )
        few(DAYS).assign(x_mine="high").to_csv(path, index=False)
        with pytest.raises(DoyenError, match=r"FIN-062.*x_mine"):
            read_bars(path)

    def test_both_ways_to_write_a_date_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv.gz"
        path.write_bytes(gzip.compress(few(["20180102", "2018-01-03"]).to_csv(index=False).encode()))
        bars, flags, sha256 = read_bars(path)
        assert list(bars["trade_date"]) == [pd.Timestamp("2018-01-02"), pd.Timestamp("2018-01-03")]
        assert flags == []
        assert len(sha256) == 64

    @pytest.mark.parametrize(
        "dates", [["2018-13-45"], ["2018-01-02T00:00+08:00", "2018-01-03"], ["2018-01-02T15:00:00"], [None]]
    )
    def test_a_bad_date_is_refused(self, dates: list[str]) -> None:
        with pytest.raises(DoyenError, match="FIN-060"):
            check_bars(few(dates))

    def test_dates_that_are_parsed_already_stay(self) -> None:
        frame = few(DAYS)
        assert check_bars(frame.assign(trade_date=pd.to_datetime(DAYS)))[0].equals(check_bars(frame)[0])

    def test_a_bar_that_is_there_twice_is_refused(self) -> None:
        with pytest.raises(DoyenError, match=r"FIN-061.*600519\.SH on 2018-01-02"):
            check_bars(few(["20180102", "20180103", "2018-01-02"]))

    @pytest.mark.parametrize(
        ("column", "value"),
        [("close", np.nan), ("pre_close", 0.0), ("open", -1.0), ("high", np.inf), ("volume_lots", np.nan),
         ("volume_lots", -1.0), ("amount_kcny", np.inf), ("low", 11.0), ("close", "n/a")],
    )  # fmt: skip
    def test_an_impossible_value_is_refused(self, column: str, value: object) -> None:
        frame = few(DAYS).astype({column: object})
        frame.loc[2, column] = value
        with pytest.raises(DoyenError, match=r"FIN-062.*first 600519\.SH on 2018-01-04"):
            check_bars(frame)

    def test_what_is_odd_is_flagged_and_kept(self) -> None:
        frame = few(["20180105", "20180102", "20180103", "20180301"])
        frame.loc[1, ["volume_lots", "amount_kcny", "open", "close"]] = [0.0, 0.0, np.nan, np.nan]
        frame.loc[2, ["close", "high"]] = 14.4
        bars, flags = check_bars(frame)
        assert {flag.kind: flag.count for flag in flags} == {
            "unsorted": 1, "suspended": 1, "missing_days": 1, "odd_returns": 1,
        }  # fmt: skip
        assert bars["trade_date"].is_monotonic_increasing
        assert len(bars) == 4


class TestMembership:
    def test_it_is_that_of_the_day(self) -> None:
        # 000008.SZ was in the index from 2016-12-12 on and out of it from 2018-06-11 on.
        dates = pd.DatetimeIndex(["2016-12-09", "2016-12-12", "2018-06-08", "2018-06-11"])
        assert members(csi300_spells(), dates, ["000008.SZ"])[:, 0].tolist() == [False, True, True, False]

    def test_the_index_has_about_three_hundred_members(self) -> None:
        spells = csi300_spells()
        dates = pd.DatetimeIndex(["2012-06-29", "2016-06-30", "2018-07-02", "2019-06-28"])
        count = members(spells, dates, sorted(spells["ts_code"].unique())).sum(1)
        assert (abs(count - 300) <= 1).all(), count

    @pytest.mark.parametrize(
        "rows",
        [[("2018-01-02", "2018-01-02")], [(None, None)], [("2018-01-02", "2019-01-02"), ("2018-06-01", None)],
         [("2018-01-02", None), ("2019-01-02", None)]],
    )  # fmt: skip
    def test_impossible_spells_are_refused(self, rows: list[tuple[str | None, str | None]]) -> None:
        spells = (
            pd.DataFrame(rows, columns=["start", "stop"]).apply(pd.to_datetime).assign(ts_code="600519.SH")
        )
        with pytest.raises(DoyenError, match="FIN-064"):
            check_spells(spells)


class TestPanel:
    spells = pd.DataFrame({"ts_code": ["A", "B"], "start": pd.Timestamp("2017-01-01"), "stop": pd.NaT})

    def test_a_suspended_day_is_a_row_without_price_and_a_label_of_nan(self) -> None:
        bars, _ = check_bars(few(DAYS, ["A", "B"]).drop(index=3))  # B has no bar on 2018-01-03
        frame = panel_frame(bars, self.spells)
        panel = wide(frame)
        assert len(frame) == 8
        row = frame[(frame["ts_code"] == "B") & (frame["trade_date"] == "2018-01-03")].iloc[0]
        assert np.isnan(row["close"])
        assert row["volume_lots"] == 0
        assert panel.universe[1, 1]
        # Labels of days 0 and 1; B cannot be bought on day 1, and has no return over day 1.
        np.testing.assert_array_equal(np.isfinite(panel.labels[:, 0]), [True, True, False, False])
        np.testing.assert_array_equal(np.isfinite(panel.labels[:, 1]), [False, True, False, False])

    def test_a_stock_has_no_rows_before_its_first_bar(self) -> None:
        bars, _ = check_bars(few(DAYS, ["A", "B"]).drop(index=[1, 3]))
        assert wide(panel_frame(bars, self.spells)).listed[:, 1].tolist() == [False, False, True, True]

    def test_the_label_is_the_return_from_the_next_close_to_the_one_after(self) -> None:
        frame = few(DAYS, ["A"])
        frame["close"] = [10.0, 11.0, 12.1, 9.68]
        frame["pre_close"] = [10.0, 10.0, 11.0, 12.1]
        frame["high"] = 13.0
        panel = wide(panel_frame(check_bars(frame)[0], self.spells))
        np.testing.assert_allclose(panel.labels[:, 0], [0.1, -0.2, np.nan, np.nan])

    def test_a_dividend_is_part_of_the_return(self) -> None:
        frame = few(DAYS[:2], ["A"])
        frame.loc[1, ["pre_close", "close"]] = [9.5, 9.5]
        assert wide(panel_frame(check_bars(frame)[0], self.spells)).returns[1, 0] == 0.0

    def test_days_and_stocks_that_do_not_meet_are_refused_before_memory_is_gone(self) -> None:
        dates = pd.bdate_range("2000-01-03", periods=3000)
        frame = few([f"{date:%Y%m%d}" for date in dates], ["A"]).assign(
            ts_code=[f"S{n}" for n in range(3000)]
        )
        with pytest.raises(DoyenError, match=r"FIN-060.*9,000,000"):
            panel_frame(check_bars(frame)[0], self.spells)

    def test_scores_go_long_and_wide_without_loss(self, panel: pd.DataFrame) -> None:
        made = wide(panel)
        scores = np.where(made.universe, made.close, np.nan)
        np.testing.assert_array_equal(wide_scores(made, long_scores(made, scores)), scores)


class TestFactors:
    def test_ranks_are_spread_over_a_day_and_missing_is_in_the_middle(self) -> None:
        values = np.array([[3.0, 1.0, 2.0, np.nan, 9.0]])
        among = np.array([[True, True, True, True, False]])
        np.testing.assert_allclose(ranked(values, among), [[1.0, -1.0, 0.0, 0.0, 0.0]])

    def test_every_factor_is_finite_and_says_something(self, panel: pd.DataFrame) -> None:
        inputs = inputs_of(wide(panel))
        assert inputs.factors_TNF.shape[-1] == len(FACTORS)
        assert np.isfinite(inputs.factors_TNF).all()
        assert np.isfinite(inputs.channels_TNC).all()
        assert (inputs.factors_TNF[200:].std(axis=(0, 1)) > 0.4).all()

    def test_own_columns_become_factors(self, panel: pd.DataFrame) -> None:
        inputs = inputs_of(wide(panel.assign(x_mine=np.arange(len(panel)) % 7)))
        assert inputs.factors_TNF.shape[-1] == len(FACTORS) + 1


class TestPlan:
    def test_the_dates_come_from_the_file_and_the_embargo_from_the_label(self, bars: pd.DataFrame) -> None:
        dates = pd.DatetimeIndex(bars["trade_date"].unique())
        choice, folds = plan(dates)
        assert f"{dates[choice.start]:%Y-%m}" == "2018-01"
        assert f"{dates[folds[0].start]:%Y-%m}" == "2018-07"
        assert folds[-1].stop == len(dates)
        for fold in (choice, *folds):
            last_label = fold.train_stop - 1 + 2
            assert last_label == fold.start - 1
        assert choice.stop - 1 + 2 < folds[0].start
        assert all(one.stop == two.start for one, two in pairwise(folds))

    @pytest.mark.parametrize("days", [1, 60, 600])
    def test_a_short_file_is_refused(self, bars: pd.DataFrame, days: int) -> None:
        with pytest.raises(DoyenError, match="FIN-063"):
            plan(pd.DatetimeIndex(bars["trade_date"].unique())[:days])
