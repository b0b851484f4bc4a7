"""The forecaster over long frames: bad input, windows, leaks, scalers, intervals, the same forecast twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from doyen_finance.forecast.fit import Recipe, Windows, fit
from doyen_finance.forecast.forecaster import Calibration, Forecaster
from doyen_finance.forecast.frame import checked, read_csv
from doyen_finance.forecast.naive import Model, RepeatLast, SeasonalNaive
from doyen_finance.forecast.networks import DLinearModel, PatchModel, Scaler, split_point, windows_of
from doyen_schemas import DoyenError

QUICK = Recipe(epochs=2, batch=16, average=0.5)


def frame(steps: int = 100, unique_id: str = "a", seed: int = 0, freq: str = "B") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, steps)))
    return pd.DataFrame(
        {"unique_id": unique_id, "ds": pd.date_range("2024-01-01", periods=steps, freq=freq), "y": y}
    )


def models() -> list[Model]:
    return [RepeatLast(), SeasonalNaive(5), DLinearModel(20, QUICK), PatchModel(20, QUICK)]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (lambda df: df.drop(columns="ds"), "FIN-050"),
        (lambda df: df.assign(ds="never"), "FIN-050"),
        (lambda df: df.assign(ds=range(len(df))), "FIN-050"),
        (lambda df: df.assign(ds=["2024-01-01T00:00+01:00", "2024-07-01T00:00+02:00"] * 50), "FIN-050"),
        (lambda df: pd.concat([df, df[-1:]]), "FIN-051"),
        (lambda df: df.assign(y=df["y"].where(df.index != 7)), "FIN-052"),
        (lambda df: df.assign(y=df["y"].where(df.index != 7, np.inf)), "FIN-052"),
        (lambda df: df.assign(y="n/a"), "FIN-052"),
        (lambda df: df[:3], "FIN-053"),
        (lambda df: df[:0], "FIN-053"),
        (
            lambda df: df.assign(ds=pd.Timestamp("2024-01-01") + pd.to_timedelta(df.index**2, unit="D")),
            "FIN-054",
        ),
        (
            lambda df: df.assign(ds=df["ds"].where(df.index > 0, pd.Timestamp("1700-01-01"))),
            "FIN-054",
        ),
    ],
)
def test_bad_series_are_coded_errors(broken: object, code: str) -> None:
    with pytest.raises(DoyenError) as error:
        checked(broken(frame()), at_least=5)  # type: ignore[operator]
    assert error.value.code == code


def test_missing_steps_and_constant_series_are_flagged_and_nothing_is_filled() -> None:
    gap = frame().drop(index=[10, 11])
    still = frame(unique_id="b").assign(y=3.0)
    series, flags = checked(pd.concat([still, gap.sample(frac=1, random_state=0)]), at_least=5)
    assert [(one.unique_id, len(one.y), one.freq) for one in series] == [("a", 98, "B"), ("b", 100, "B")]
    assert series[0].ds.is_monotonic_increasing
    assert [(flag.unique_id, flag.kind) for flag in flags] == [("a", "missing_steps"), ("b", "constant")]
    assert "2 steps at frequency B are missing, such as 2024-01-15, 2024-01-16" in flags[0].message


def test_dates_may_be_written_as_exchanges_do() -> None:
    (series,), _ = checked(
        frame().assign(ds=lambda df: df["ds"].dt.strftime("%Y%m%d").astype(int)), at_least=5
    )
    assert series.ds[0] == pd.Timestamp("2024-01-01")


def test_files_are_long_frames_or_bars(tmp_path: Path) -> None:
    frame(4).to_csv(tmp_path / "long.csv", index=False)
    pd.DataFrame({"Date": ["2024-01-01", "2024-01-02"], "Open": [1, 2], "Close": [3, 4]}).to_csv(
        tmp_path / "bars.csv.gz", index=False
    )
    assert read_csv(tmp_path / "long.csv")["y"].tolist() == pytest.approx(frame(4)["y"].tolist())
    bars = read_csv(tmp_path / "bars.csv.gz")
    assert bars["unique_id"].tolist() == ["bars", "bars"]
    assert bars["y"].tolist() == [3, 4]
    (tmp_path / "other.csv").write_text("price,when\n1,2\n")
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)) * 10)
    for name in ("other.csv", "noise.csv", "absent.csv"):
        with pytest.raises(DoyenError, match="FIN-050"):
            read_csv(tmp_path / name)


def test_windows_of_cross_validation_are_those_counted_by_hand() -> None:
    df = frame(12, freq="D").assign(y=np.arange(1.0, 13.0))  # 1 January is 1, …, 12 January is 12
    got = Forecaster([RepeatLast()], horizon=3).cross_validation(df, n_windows=3, step_size=2)
    day = [int(ds.day) for ds in got["ds"]]
    cutoff = [int(ds.day) for ds in got["cutoff"]]
    assert cutoff == [5, 5, 5, 7, 7, 7, 9, 9, 9]
    assert day == [6, 7, 8, 8, 9, 10, 10, 11, 12]
    assert got["y"].tolist() == [float(d) for d in day]
    assert got["RepeatLast"].tolist() == [float(c) for c in cutoff]
    assert list(got.columns) == ["unique_id", "ds", "cutoff", "y", "RepeatLast"]


def test_a_horizon_apart_is_the_default_step() -> None:
    got = Forecaster([SeasonalNaive(2)], horizon=4).cross_validation(frame(20), n_windows=2)
    assert got["cutoff"].nunique() == 2
    assert (got.groupby("cutoff")["ds"].agg(["min", "max"]).to_numpy()[0, 1]) < got["ds"].iloc[4]


class _Counting(RepeatLast):
    seen: tuple[int, ...] = ()

    def fit(self, histories: object, horizon: int) -> None:
        object.__setattr__(self, "seen", (*self.seen, len(histories["a"])))  # type: ignore[index]


@pytest.mark.parametrize(
    ("refit", "seen"), [(True, (14, 15, 16, 17)), (False, (14,)), (2, (14, 16)), (3, (14, 17))]
)
def test_models_are_fitted_again_as_often_as_asked(refit: bool | int, seen: tuple[int, ...]) -> None:
    model = _Counting()
    Forecaster([model], horizon=3).cross_validation(frame(20), 4, step_size=1, refit=refit)
    assert model.seen == seen


def test_permuting_the_future_changes_no_forecast_up_to_it() -> None:
    df = pd.concat([frame(120), frame(120, "b", seed=1)], ignore_index=True)
    forecaster = Forecaster(models(), horizon=4)
    before = forecaster.cross_validation(df, n_windows=3, step_size=8)
    cutoff = before["cutoff"].unique()[1]
    later = df["ds"] > cutoff
    rng = np.random.default_rng(5)
    changed = df.assign(y=df["y"].where(~later, rng.permutation(df["y"]) * 7))
    after = forecaster.cross_validation(changed, n_windows=3, step_size=8)
    columns = [model.name for model in forecaster.models]
    upto = before["cutoff"] <= cutoff
    pd.testing.assert_frame_equal(before.loc[upto, columns], after.loc[upto, columns], check_exact=True)
    assert not np.allclose(before.loc[~upto, columns], after.loc[~upto, columns])


def test_intervals_and_forecasts_at_a_cutoff_see_nothing_behind_it() -> None:
    df = frame(200)
    forecaster = Forecaster([PatchModel(20, QUICK), RepeatLast()], horizon=4, log=True, windows=10)
    whole = forecaster.fit(df[:150]).predict(level=[80])
    again = forecaster.fit(df.assign(y=df["y"].where(df.index < 150, 1e6))[:150]).predict(level=[80])
    pd.testing.assert_frame_equal(whole, again, check_exact=True)


def test_scalers_are_fitted_on_the_train_part_alone() -> None:
    history = frame(200)["y"].to_numpy()
    point = split_point(200, 20, 4)
    assert 150 < point < 200
    model = DLinearModel(20, QUICK)
    model.fit({"a": history}, 4)
    assert model.scalers["a"] == Scaler.of(history[:point])
    changed = history.copy()
    changed[point:] *= 1000
    model.fit({"a": changed}, 4)
    assert model.scalers["a"] == Scaler.of(history[:point])


def test_the_same_fit_twice_gives_the_same_forecast() -> None:
    forecasts = [
        Forecaster(models(), horizon=4, windows=5).fit(frame(120)).predict(h=3, level=[50]) for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*forecasts, check_exact=True)
    assert len(forecasts[0]) == 3
    assert forecasts[0]["ds"].tolist() == list(
        pd.date_range(frame(120)["ds"].iloc[-1], periods=4, freq="B")[1:]
    )
    assert (forecasts[0]["DLinear-lo-50"] < forecasts[0]["DLinear-hi-50"]).all()


def test_networks_learn_a_season_that_repeating_the_last_value_misses() -> None:
    steps = np.arange(400)
    df = frame(400).assign(y=10 + np.sin(2 * np.pi * steps / 12) + 0.01 * np.cos(steps))
    recipe = Recipe(epochs=8, batch=16, rate=5e-3, average=0.9)
    forecaster = Forecaster([RepeatLast(), DLinearModel(36, recipe), PatchModel(36, recipe)], horizon=6)
    got = forecaster.cross_validation(df, n_windows=2, refit=False)
    errors = {m.name: float(np.square(got[m.name] - got["y"]).mean()) for m in forecaster.models}
    assert errors["DLinear"] < 0.05 * errors["RepeatLast"]
    assert errors["PatchTransformer"] < 0.1 * errors["RepeatLast"]


def test_no_window_reaches_from_one_series_into_the_next() -> None:
    windows = windows_of([np.arange(10.0), np.arange(100.0, 107.0)], look_back=4, horizon=2)
    x_BLC, y_BHC = windows.at(torch.arange(len(windows)))
    assert len(windows) == 5 + 2
    assert ((torch.cat([x_BLC, y_BHC], 1) < 50).all(1) | (torch.cat([x_BLC, y_BHC], 1) >= 50).all(1)).all()
    assert x_BLC[5, :, 0].tolist() == [100, 101, 102, 103]


def test_training_that_never_helps_leaves_the_start() -> None:
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    zeros = torch.zeros(200, 1)
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    torch.nn.init.zeros_(network.bias)
    train, valid = (Windows(values, torch.arange(190), 1, 1) for values in (noise + 5, zeros))
    fitted = fit(network, train, valid, Recipe(epochs=3, patience=2))
    assert (fitted.best_epoch, fitted.epochs, fitted.valid_mse) == (0, 2, 0.0)
    assert float(network.bias.detach()) == 0.0


def test_the_interval_is_the_ranked_error_at_past_cutoffs() -> None:
    scores_WH = np.array([[float(w), 10.0 + w] for w in range(1, 20)])
    calibration = Calibration({"a": np.random.default_rng(0).permutation(scores_WH)})
    assert calibration.half_width("a", 80, recent=2.0).tolist() == [32.0, 52.0]  # rank 16 of 19
    assert calibration.half_width("a", 95, recent=1.0).tolist() == [19.0, 29.0]
    for level in (96, 0, 100, float("nan")):
        with pytest.raises(DoyenError, match="FIN-056"):
            calibration.half_width("a", level, recent=1.0)


def test_intervals_cover_a_random_walk_about_as_often_as_they_say() -> None:
    inside = []
    for seed in range(40):
        df = frame(400, seed=seed)
        got = (
            Forecaster([RepeatLast()], horizon=5, log=True, windows=60, step=5)
            .fit(df[:390])
            .predict(level=[80])
        )
        truth = df["y"].to_numpy()[390:395]
        inside.append((got["RepeatLast-lo-80"] <= truth) & (truth <= got["RepeatLast-hi-80"]))
    assert 0.7 < np.mean(inside) < 0.92


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda: Forecaster([RepeatLast()], horizon=0), "FIN-057"),
        (lambda: Forecaster([], horizon=3), "FIN-057"),
        (lambda: Forecaster([RepeatLast()], 3).cross_validation(frame(), n_windows=0), "FIN-057"),
        (lambda: Forecaster([RepeatLast()], 3).cross_validation(frame(), n_windows=99), "FIN-053"),
        (lambda: Forecaster([RepeatLast()], 3).fit(frame()).predict(h=4), "FIN-057"),
        (lambda: Forecaster([RepeatLast()], 3).fit(frame()).predict(level=[80]), "FIN-056"),
        (lambda: Forecaster([RepeatLast()], 3).predict(), "FIN-055"),
        (lambda: Forecaster([RepeatLast()], 3, log=True).fit(frame().assign(y=-1.0)), "FIN-058"),
        (lambda: PatchModel(20).predict({"a": np.ones(30)}, 3), "FIN-055"),
        (lambda: Scaler.of(np.array([1e308, -1e308, 1e308])), "FIN-052"),
        (
            lambda: Forecaster([RepeatLast()], 3).cross_validation(pd.concat([frame(30), frame(40, "b")]), 2),
            "FIN-054",
        ),
    ],
)
def test_impossible_settings_are_coded_errors(wrong: object, code: str) -> None:
    with pytest.raises(DoyenError) as error:
        wrong()  # type: ignore[operator]
    assert error.value.code == code


def test_a_constant_series_is_forecast_as_it_is() -> None:
    df = frame(150).assign(y=42.0)
    forecaster = Forecaster(models(), horizon=4, windows=5)
    got = forecaster.fit(df).predict()
    assert forecaster.flags[0].kind == "constant"
    assert np.isfinite(got.drop(columns=["unique_id", "ds"]).to_numpy()).all()
    assert got["RepeatLast"].tolist() == [42.0] * 4
