"""The whole backtest on a made-up market and on the index, its report, and the commands."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from doyen_finance.backtest import network, timing
from doyen_finance.backtest.as_html import as_html
from doyen_finance.backtest.charts import ticks
from doyen_finance.backtest.figures import Interval
from doyen_finance.backtest.index import absent_days, index_bars, index_returns
from doyen_finance.backtest.inputs import inputs_of
from doyen_finance.backtest.panel import wide
from doyen_finance.backtest.portfolio import Rules
from doyen_finance.backtest.result import (
    NO_EXCESS,
    NOT_TOLD_APART,
    Backtest,
    Outcome,
    mean_interval,
    verdict_of,
    warnings_of,
)
from doyen_finance.backtest.ridge import RidgeLearner
from doyen_finance.backtest.stocks import backtest_stocks
from doyen_finance.backtest.walk import Fold, walk_forward
from doyen_finance.backtest.write import write
from doyen_finance.cli import app
from doyen_schemas import DoyenError

RUN = CliRunner()
BARS = Path(os.environ.get("DOYEN_DATA", "../shared/data")) / "finance/csi300-daily-bars/bars.csv.gz"


@pytest.fixture(scope="module")
def result(bars_file: Path) -> Backtest:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "MOST_EPOCHS", 1)
        return backtest_stocks(bars_file, seeds=2)


class TestStocks:
    def test_the_planted_reversal_is_found_and_the_figures_agree_with_each_other(
        self, result: Backtest
    ) -> None:
        ridge, nets, floor = result.models
        assert ridge.mean.figures["rank_ic"] > 0.01
        assert [run.seed for run in nets.seeds] == [0, 1]
        for model in result.models:
            for run in [model.mean, *model.seeds]:
                figures = run.figures
                difference = run.returns - result.benchmarks["index"]
                if run.seed is not None or len(model.seeds) == 1:
                    assert figures["excess_index"] == pytest.approx(difference.mean() * 242)
                assert figures["excess_index_before_costs"] == pytest.approx(
                    figures["excess_index"] + figures["cost_drag"]
                )
                assert 0 < figures["turnover_a_day"] < 0.2
                assert run.ci95["rank_ic"].low < figures["rank_ic"] < run.ci95["rank_ic"].high
        mean = np.mean([run.figures["rank_ic"] for run in nets.seeds])
        assert nets.mean.figures["rank_ic"] == pytest.approx(mean)
        assert result.trials == 1 + 4 + 2
        assert floor.name == "reversal"

    def test_the_meta_says_what_it_rests_on(self, result: Backtest, bars_file: Path) -> None:
        meta = result.meta
        assert meta["universe"]["point_in_time"] is True
        assert meta["universe"]["survivorship"] == "survivor-reduced"
        assert meta["universe"]["coverage"]["2018"] == pytest.approx(64 / 300, abs=0.001)
        assert meta["universe"]["list_members"] == 64
        assert meta["universe"]["list_dates"][0] < "2015-01-01"
        assert meta["windows"]["test"][0] == "2018-07-02"
        flags = {flag.kind: flag for flag in result.flags}
        assert "thin_coverage" in flags
        assert (flags["missing_days"].count, "2017-05-18" in flags["missing_days"].note) == (1, True)
        assert meta["data"]["file"] == bars_file.name

    def test_the_json_is_strict_and_has_the_claim_only_as_a_claim(self, result: Backtest) -> None:
        text = json.dumps(result.as_json(), allow_nan=False)
        read = json.loads(text)
        assert read["claim"]["claim"] == "+18.7 % a year"
        assert text.count("18.7") == 1
        assert read["n"] == len(result.dates)
        assert set(read["benchmarks"]) == {"index", "equal_weight"}

    def test_labels_do_not_decide_which_rows_are_scored(self, panel: pd.DataFrame) -> None:
        made = wide(panel)
        scores = walk_forward(inputs_of(made), RidgeLearner((1e3,)))
        first = int(np.flatnonzero(np.isfinite(scores).any(1))[0])
        np.testing.assert_array_equal(np.isfinite(scores[first:]), made.universe[first:])
        suspended = made.universe[first:] & np.isnan(made.close[first:])
        assert suspended.sum() == 10

    def test_shuffled_labels_teach_nothing(self, panel: pd.DataFrame) -> None:
        made = wide(panel)
        inputs = inputs_of(made)
        target = np.random.default_rng(3).permuted(inputs.target_TN, axis=1)
        scores = walk_forward(dataclasses.replace(inputs, target_TN=target), RidgeLearner((1e3,)))
        from doyen_finance.backtest.figures import daily_ic

        low, high = mean_interval(daily_ic(scores, made.labels, rank=True))
        assert low < 0.02
        assert high > -0.02
        assert high - low < 0.1

    def test_the_network_is_the_same_with_the_same_seed(self, panel: pd.DataFrame) -> None:
        inputs = inputs_of(wide(panel))
        fold = Fold(90, 92, 100)
        one, two, other = (network.NetworkLearner(seed, 1).scores(inputs, fold) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, two)
        assert np.nanmax(np.abs(one - other)) > 0

    def test_too_few_members_are_refused(self, bars_file: Path, tmp_path: Path) -> None:
        bars = pd.read_csv(bars_file, dtype={"trade_date": str})
        few = tmp_path / "few.csv"
        bars[bars["ts_code"].isin(sorted(bars["ts_code"].unique())[:20])].to_csv(few, index=False)
        with pytest.raises(DoyenError, match="FIN-066"):
            backtest_stocks(few)

    @pytest.mark.skipif(not BARS.is_file(), reason="the CSI 300 bars are not here (DOYEN_DATA)")
    def test_the_ridge_on_real_bars_is_believable(self) -> None:
        from doyen_finance.backtest.bars import read_bars
        from doyen_finance.backtest.figures import daily_ic, ic_figures
        from doyen_finance.backtest.membership import csi300_spells
        from doyen_finance.backtest.panel import panel_frame

        made = wide(panel_frame(read_bars(BARS)[0], csi300_spells()))
        scores = walk_forward(inputs_of(made), RidgeLearner())
        assert 0.015 < ic_figures(daily_ic(scores, made.labels, rank=True))["mean"] < 0.05


class TestIndex:
    def test_a_position_earns_the_return_two_days_after_its_score(self) -> None:
        scores = np.array([np.nan, 1.0, -1.0, 1.0, 1.0, 1.0])
        returns = np.array([0, 0, 0, 0.10, 0.20, 0.30])
        exposure, cost, earned = timing.hold_or_cash(scores, returns, 1, Rules())
        np.testing.assert_array_equal(exposure, [0, 1, 0, 1])
        np.testing.assert_allclose(cost, [0, 0.0005, 0.0015, 0.0005])
        np.testing.assert_allclose(earned, [0, 0.10 - 0.0005, -0.0015, 0.30 - 0.0005])

    def test_no_score_knows_what_comes_after_it(self) -> None:
        bars = index_bars("hs300")
        cut = int(bars.index.searchsorted(pd.Timestamp("2020-07-01")))
        changed = bars.copy()
        changed.iloc[cut + 1 :] = changed.iloc[cut + 1 :].to_numpy()[::-1] * 3
        one, two = (timing.walk_series(timing.series_of(frame), (1e2,))[0] for frame in (bars, changed))
        np.testing.assert_array_equal(one[: cut + 1], two[: cut + 1])
        assert np.isfinite(one[cut])
        assert (one[cut + 1 :] != two[cut + 1 :]).any()

    def test_known_labels_would_be_used(self) -> None:
        """The same machinery earns a fortune from the future: what it reports on real factors is not for lack of use."""
        series = timing.series_of(index_bars("hs300"))
        known = np.column_stack([series.factors_TF, np.nan_to_num(series.label_T)])
        scores, schedule, _ = timing.walk_series(dataclasses.replace(series, factors_TF=known), (1e1,))
        _, _, earned = timing.hold_or_cash(scores, series.returns_T, schedule.folds[0].start, Rules())
        assert earned.mean() * 242 > 0.5

    def test_the_windows_are_those_of_the_protocol(self, tmp_path: Path) -> None:
        done = RUN.invoke(app, ["backtest", "--index", "hs300", "--json", "--out", str(tmp_path)])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        windows = found["_meta"]["windows"]
        assert [windows["train"][0][:4], windows["train"][1][:4]] == ["2006", "2017"]
        assert [windows["valid"][0][:4], windows["valid"][1][:4], windows["test"][0]] == [
            "2018",
            "2019",
            "2020-01-02",
        ]
        assert found["verdict"] == NO_EXCESS
        assert {path.name for path in tmp_path.iterdir()} == {"backtest.html", "backtest.json", "daily.csv"}
        daily = pd.read_csv(tmp_path / "daily.csv")
        assert len(daily) == found["n"]

    def test_trading_days_that_a_file_lacks_are_known(self) -> None:
        days = pd.DatetimeIndex(["2018-07-02", "2018-07-03", "2018-07-06", "2018-07-09"])
        assert absent_days("hs300", days).strftime("%Y%m%d").tolist() == ["20180704", "20180705"]

    def test_days_that_the_index_lacks_are_refused(self) -> None:
        with pytest.raises(DoyenError, match=r"FIN-065.*2018-07-07"):
            index_returns("hs300", pd.DatetimeIndex(["2018-07-06", "2018-07-07"]))
        with pytest.raises(DoyenError, match="FIN-065"):
            index_bars("sp500")


class TestSentences:
    @staticmethod
    def outcome(excess: float, low: float, rank_ic: float = 0.03) -> Outcome:
        figures = {"excess_index": excess, "excess_equal_weight": 0.2, "rank_ic": rank_ic}
        wide_open = {"excess_index": Interval(low, 0.5), "excess_equal_weight": Interval(0.1, 0.3)}
        return Outcome(None, {}, figures, wide_open, np.zeros(3))

    def test_no_excess_is_said_in_words(self) -> None:
        names = ["index", "equal_weight"]
        assert (
            verdict_of(self.outcome(-0.01, -0.2), names)
            == NO_EXCESS
            == "There is no excess return after costs."
        )
        assert verdict_of(self.outcome(0.05, -0.1), names) == NOT_TOLD_APART
        assert "above zero" in verdict_of(self.outcome(0.05, 0.01), names)

    def test_a_rank_ic_that_is_too_good_is_called_a_bug(self) -> None:
        fine, wild = self.outcome(0.05, 0.01), self.outcome(0.05, 0.01, rank_ic=0.12)
        assert warnings_of(fine, [fine]) == []
        assert "treat as a bug" in warnings_of(fine, [fine, wild])[0]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


class TestReport:
    def test_the_page_says_the_sentence_and_loads_nothing(self, result: Backtest) -> None:
        page = as_html(result).decode()
        tags = Tags()
        tags.feed(page)
        names = [tag for tag, _ in tags.seen]
        assert result.verdict in page
        assert "script" not in names
        assert not any({"src", "style", "href"} & set(attributes) for _, attributes in tags.seen)
        assert names.count("polyline") == 2 * (2 + 1 + 2 + 1 + 1)
        assert "survivor-reduced" in page

    def test_a_hostile_file_name_stays_text(self, result: Backtest) -> None:
        page = as_html(result).decode()
        assert "&lt;b&gt;bars.csv.gz" in page
        assert "<b>bars" not in page

    def test_a_warning_stands_on_the_page(self, result: Backtest) -> None:
        first = dataclasses.replace(result.models[0], warnings=["Rank IC 0.120: treat as a bug."])
        page = as_html(dataclasses.replace(result, models=[first, *result.models[1:]])).decode()
        assert 'role="alert">ridge: Rank IC 0.120: treat as a bug.' in page

    def test_a_folder_that_cannot_be_written_is_refused(self, result: Backtest, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DoyenError, match="FIN-068"):
            write(result, tmp_path / "file")

    @pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-0.31, 0.02), (1e-9, 2e-9), (-3.0, 250.0)])
    def test_marks_span_the_values(self, low: float, high: float) -> None:
        marks = ticks(low, high)
        assert marks[0] <= low + 1e-9
        assert marks[-1] >= high - 1e-9
        assert 1 <= len(marks) <= 9


class TestCommands:
    def test_nothing_to_test_is_refused(self) -> None:
        done = RUN.invoke(app, ["backtest"])
        assert isinstance(done.exception, DoyenError)
        assert done.exception.code == "FIN-069"

    def test_the_audit_passes_and_says_so(self, bars_file: Path) -> None:
        done = RUN.invoke(app, ["audit-backtest", "--data", str(bars_file), "--json"])
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["passed"] is True
        assert {"scaler", "embargo", "planted_future"} <= {finding["check"] for finding in found["findings"]}

    def test_importing_the_backtest_loads_no_torch(self) -> None:
        code = "import sys, doyen_finance.backtest.stocks, doyen_finance.backtest.timing; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)
