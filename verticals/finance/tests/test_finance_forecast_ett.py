"""The long-horizon protocol: its split, its scaler, its floors, its cache; and, where the data lie, the known floors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from doyen_finance.evaluate import ett
from doyen_finance.forecast.fit import Recipe
from doyen_schemas import DoyenError

HOURS = 14_400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A daily cycle with noise as ETTh1, arms that train for a moment, and an empty cache."""
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "cache"))
    quick = Recipe(epochs=1, batch=64, share=0.02, rate=5e-3, average=0.5)
    monkeypatch.setattr(
        ett,
        "ARMS",
        (ett.Arm("patch_transformer", {"layers": 1}, quick), ett.Arm("dlinear", {}, quick)),
    )
    rng = np.random.default_rng(0)
    day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), HOURS // 24)
    dates = pd.date_range("2016-07-01", periods=HOURS, freq="h")
    data = tmp_path / "ett"
    data.mkdir()
    pd.DataFrame({"date": dates, "OT": 20 + 5 * day + rng.normal(0, 0.5, HOURS)}).to_csv(
        data / "ETTh1.csv.gz", index=False
    )
    return data


def test_the_split_is_twelve_four_and_four_months_and_keeps_every_test_window() -> None:
    values = torch.arange(17_420.0)[:, None]
    for horizon in ett.HORIZONS:
        train, valid, test = ett.parts(values, horizon)
        assert len(train) == 8640 - 336 - horizon + 1
        assert len(test) == 2880 - horizon + 1
        last_train, last_test = (
            float(part.at(torch.tensor([len(part) - 1]))[1].max()) for part in (train, test)
        )
        assert (last_train, last_test) == (8639.0, 14_399.0)
        assert float(valid.at(torch.tensor([0]))[1].min()) == 8640.0
        assert float(test.at(torch.tensor([0]))[1].min()) == 11_520.0


def test_the_scaler_sees_the_first_twelve_months_alone(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(3, 2, (HOURS, 2))
    files = []
    for name, factor in (("a", 1.0), ("b", 1e3)):
        changed = values.copy()
        changed[ett.TRAIN :] *= factor
        files.append(tmp_path / f"{name}.csv")
        pd.DataFrame(changed).assign(date="2016-07-01").iloc[:, [2, 0, 1]].to_csv(files[-1], index=False)
    first, second = (ett.read(file) for file in files)
    assert torch.equal(first[: ett.TRAIN], second[: ett.TRAIN])
    torch.testing.assert_close(first[: ett.TRAIN].mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(first[: ett.TRAIN].std(0, correction=0), torch.ones(2), rtol=0, atol=1e-5)


def test_one_horizon_is_trained_once_and_measured_each_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ett.evaluate_file(folder, limit=1)
    row = result["ETTh1"]["96"]
    assert (result["n"], list(result["ETTh1"])) == (2785, ["96"])
    # Noise of variance 0.25 on a cycle of variance 12.5: yesterday again errs by twice the noise.
    scale = 12.5 + 0.25
    assert row["seasonal_naive_mse"] == pytest.approx(0.5 / scale, rel=0.05)
    assert row["repeat_last_mse"] > 10 * row["seasonal_naive_mse"]
    assert row["ci95"]["mse"][0] <= row["mse"] <= row["ci95"]["mse"][1]
    assert row["mse_last_batch_dropped"] == pytest.approx(row["mse"], rel=0.1)
    assert row["ratio"] == pytest.approx(row["mse"] / 0.370, abs=1e-3)
    assert {"mae", "dlinear_mse", "epochs", "seconds_per_epoch", "published_mse"} <= row.keys()

    def never(*args: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(ett, "fit", never)
    assert ett.evaluate_file(folder / "ETTh1.csv.gz", limit=1) == result


def test_another_file_is_not_answered_from_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    fit = ett.fit
    monkeypatch.setattr(ett, "fit", lambda *args: (trained.append(1), fit(*args))[1])
    ett.evaluate_file(folder, limit=1)
    table = pd.read_csv(folder / "ETTh1.csv.gz")
    table.assign(OT=table["OT"] + 1).to_csv(folder / "ETTh1.csv.gz", index=False)
    ett.evaluate_file(folder, limit=1)
    assert len(trained) == 4


def test_wrong_files_are_coded_errors(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="FIN-059"):
        ett.evaluate_file(tmp_path, limit=1)
    file = tmp_path / "ETTh1.csv"
    for text in (
        "date,OT\n2016-07-01,1\n",
        "date,OT\n" + "2016-07-01,x\n" * HOURS,
        "",
        "date,OT\n" + "d,nan\n" * HOURS,
    ):
        file.write_text(text)
        with pytest.raises(DoyenError, match="FIN-059"):
            ett.evaluate_file(tmp_path, limit=1)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "horizon", "seasonal", "last"),
    [("ETTh1", 96, 0.512, 1.294), ("ETTh1", 720, 0.655, 1.335), ("ETTh2", 336, 0.532, 0.597)],
)
def test_the_naive_figures_are_the_known_ones(name: str, horizon: int, seasonal: float, last: float) -> None:
    file = Path(os.environ.get("DOYEN_DATA", "../shared/data")) / "finance" / "ett" / f"{name}.csv.gz"
    if not file.is_file():
        pytest.skip(f"{file} is not there (DOYEN_DATA)")
    _, _, test = ett.parts(ett.read(file), horizon)
    for season, known in ((24, seasonal), (1, last)):
        squared_W, _ = ett._errors(lambda x, season=season: ett._repeat(x, season, horizon), test)
        assert float(squared_W.mean()) == pytest.approx(known, abs=6e-4)
