"""The shipped index forecaster, the forecast command and its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from doyen_finance import weights
from doyen_finance.cli import app
from doyen_finance.evaluate import hs300
from doyen_finance.forecast import index, source
from doyen_finance.forecast.as_html import as_html
from doyen_finance.forecast.fit import Recipe
from doyen_finance.forecast.run import forecast
from doyen_schemas import DoyenError


def bars(path: Path, first: str = "2016-06-01", last: str = "2020-06-30") -> Path:
    """A stretch of the index's own bars."""
    table = pd.read_csv(source.index_file())
    table[(table["date"] >= first) & (table["date"] <= last)].to_csv(path, index=False)
    return path


def shipped() -> index.IndexModel:
    return index.IndexModel.load(weights.part("forecaster"))


def test_parts_hold_the_windows_whose_targets_lie_in_their_years() -> None:
    series = index.index_series()
    of = index.parts(series, look_back=60)
    for part, first, last in (
        (of.train, "2006-01-01", "2017-12-31"),
        (of.valid, "2018-01-01", "2019-12-31"),
        (of.test, "2020-01-01", "2025-12-31"),
    ):
        targets = part.starts.numpy()[[0, -1]] + 60
        assert series.ds[targets[0]] >= pd.Timestamp(first)
        assert series.ds[targets[1] + index.HORIZON - 1] <= pd.Timestamp(last)
    # All but the windows that lie across the two borders.
    assert len(series.y) - 60 - 20 + 1 - sum(map(len, (of.train, of.valid, of.test))) == 2 * 19


def test_the_shipped_figures_are_those_of_the_shipped_weights() -> None:
    stated = index.shipped_report(weights.part("forecaster"))["test"]
    assert hs300.evaluate_file(Path("hs300"), None) == {"protocol": "hs300"} | stated
    assert stated["says"] == (index.GAIN if stated["ci95"]["ratio_20"][1] < 1 else index.NO_GAIN)
    assert 0.72 < stated["coverage_80"] < 0.88
    assert 0.90 < stated["coverage_95"] < 0.99


def test_changing_the_bars_of_the_test_years_changes_no_forecast_before(tmp_path: Path) -> None:
    table = pd.read_csv(bars(tmp_path / "bars.csv"))
    late = table["date"] >= "2020-03-01"
    table.loc[late, "close"] = table.loc[late, "close"].to_numpy()[::-1] * 3
    table.to_csv(tmp_path / "changed.csv", index=False)
    model = shipped()
    before, after = (
        index.parts(index.index_series(tmp_path / name), model.look_back).test
        for name in ("bars.csv", "changed.csv")
    )
    cutoffs = index.index_series(tmp_path / "bars.csv").ds[before.starts.numpy() + model.look_back - 1]
    early = torch.tensor(np.flatnonzero(cutoffs < pd.Timestamp("2020-03-01")))
    forecasts = [model.network(part.at(early)[0]) for part in (before, after)]
    assert len(early) > 20
    assert torch.equal(*forecasts)


def test_the_protocol_takes_bars_of_a_file_and_a_limit(tmp_path: Path) -> None:
    result = hs300.evaluate_file(bars(tmp_path / "bars.csv"), limit=30)
    assert result["n"] == 30
    assert result["ratio_5"] == pytest.approx(result["mse_5"] / result["repeat_last_mse_5"], abs=1e-3)
    with pytest.raises(DoyenError, match="FIN-053"):
        hs300.evaluate_file(bars(tmp_path / "early.csv", last="2019-12-31"), None)
    negative = pd.read_csv(tmp_path / "bars.csv").assign(close=-1.0)
    negative.to_csv(tmp_path / "negative.csv", index=False)
    with pytest.raises(DoyenError, match="FIN-058"):
        hs300.evaluate_file(tmp_path / "negative.csv", None)


def test_training_writes_what_loading_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "LOOK_BACKS", (32,))
    monkeypatch.setattr(index, "SEEDS", (1,))
    monkeypatch.setattr(index, "RECIPE", Recipe(epochs=1, batch=64))
    data = bars(tmp_path / "bars.csv")
    lines: list[str] = []
    report = index.train(tmp_path / "out", lines.append, data)
    assert index.shipped_report(tmp_path / "out") == report
    loaded = index.IndexModel.load(tmp_path / "out")
    assert index.measure(loaded, index.index_series(data)) == report["test"]
    assert report["data_sha256"] != index.shipped_report(weights.part("forecaster"))["data_sha256"]
    assert len(lines) == 1


def test_no_more_steps_than_it_was_trained_for() -> None:
    df = pd.DataFrame(
        {"unique_id": "a", "ds": pd.date_range("2020", periods=900), "y": np.arange(1.0, 901.0)}
    )
    with pytest.raises(DoyenError, match="FIN-055"):
        forecast(df, 21)
    with pytest.raises(DoyenError, match="FIN-057"):
        forecast(df, 5, choice="seasonal")


def test_the_command_forecasts_the_index_and_says_what_it_is_worth() -> None:
    result = CliRunner().invoke(
        app, ["forecast", "--index", "hs300", "--horizon", "5", "--level", "80", "--windows", "20", "--json"]
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    (series,) = answer["series"]
    assert answer["note"] in (index.NO_GAIN, index.GAIN)
    assert len(series["forecast"]) == 5
    row = series["forecast"][0]
    assert row["PatchTransformer-lo-80"] < row["PatchTransformer"] < row["PatchTransformer-hi-80"]
    assert row["RepeatLast"] == pytest.approx(series["history"][-1][1])
    assert series["says"].startswith("At the last 20 cutoffs")
    assert answer["flags"][0]["kind"] == "missing_steps"


@pytest.mark.parametrize("model", ["patch", "dlinear", "seasonal", "repeat-last"])
def test_the_command_fits_the_other_models_on_the_file(tmp_path: Path, model: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"ds": pd.date_range("2024", periods=220, freq="D"), "y": rng.normal(size=220)})
    table.to_csv(tmp_path / "a.csv", index=False)
    result = CliRunner().invoke(
        app,
        ["forecast", str(tmp_path / "a.csv"), "--horizon", "3", "--model", model, "--season", "7", "--windows", "5",
         "--level", "60", "--out", str(tmp_path / "fan.html")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "2024-08-08" in result.output
    assert (tmp_path / "fan.html").read_text().count('<svg class="chart"') == 1


def test_the_command_wants_one_source(tmp_path: Path) -> None:
    for arguments in (["forecast"], ["forecast", "x.csv", "--index", "hs300"]):
        error = CliRunner().invoke(app, arguments).exception
        assert isinstance(error, DoyenError)
        assert error.code == "FIN-057"


def test_the_page_is_inert_and_escapes_names() -> None:
    rng = np.random.default_rng(0)
    df = pd.DataFrame(
        {
            "unique_id": "<script>alert(1)</script>",
            "ds": pd.date_range("2024", periods=120, freq="B"),
            "y": rng.normal(10, 1, 120).cumsum(),
        }
    )
    page = as_html(forecast(df, 5, choice="repeat-last", windows=20, level=[80, 95])).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count('class="band"><title>') == 2
    assert not re.search(r"https?://|style=\"|url\(", page)
    assert "nan" not in page
