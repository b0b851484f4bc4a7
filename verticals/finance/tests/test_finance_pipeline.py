"""What a file is taken for, the options of a batch, and the tables that the queue scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from doyen_finance.pipeline import review_file, task_of
from doyen_finance.plugin import validate_options
from doyen_schemas import DoyenError

DEFAULTS = {"model": None, "horizon": 20, "budget": 100}


@pytest.mark.parametrize(
    ("name", "header", "task"),
    [
        ("report.PDF", "", "statements"),
        ("scan.tiff", "", "statements"),
        ("news.txt", "", "sentiment"),
        ("a.csv", "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT", "transactions"),
        ("a.csv", "\ufeffTRANSFER_ID,DATETIME,FROM,TO,AMOUNT", "transfers"),
        ("a.csv", '"ID","LIMIT_BAL","PAY_0","BILL_AMT1"', "credit"),
        ("a.csv", "unique_id,ds,y", "forecast"),
        ("a.csv", "date,open,high,low,close,volume", "forecast"),
    ],
)
def test_a_file_is_told_by_suffix_and_columns(tmp_path: Path, name: str, header: str, task: str) -> None:
    path = tmp_path / name
    path.write_text(header + "\n", encoding="utf-8")
    assert task_of(path) == task


def test_a_table_of_unknown_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("one,two\n1,2\n")
    with pytest.raises(DoyenError, match="FIN-003") as raised:
        task_of(path)
    assert "lacks" not in raised.value.message
    assert "tx_amount" in raised.value.hint


def test_an_image_belongs_to_the_ocr_queue(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(b"\x89PNG")
    with pytest.raises(DoyenError, match=r"FIN-002") as raised:
        review_file(path, DEFAULTS)
    assert "finance-ocr" in raised.value.hint


@pytest.mark.parametrize(
    "options", [{"modle": "lora"}, {"model": "gpt"}, {"horizon": "0"}, {"budget": "-1"}, {"horizon": "21"}]
)
def test_wrong_options_are_named(options: dict[str, str]) -> None:
    with pytest.raises(DoyenError, match="FIN-004") as raised:
        validate_options(options)
    assert next(iter(options)) in raised.value.message


def test_options_are_completed() -> None:
    assert validate_options({"horizon": "5"}) == {**DEFAULTS, "horizon": 5}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from doyen_finance.risk.simulate import CardWorld, simulate_cards
    from doyen_finance.risk.simulate_transfers import TransferWorld, simulate_transfers

    folder = tmp_path_factory.mktemp("simulated")
    simulate_cards(CardWorld(cards=60, terminals=120, days=30), 1).to_csv(folder / "cards.csv", index=False)
    world = TransferWorld(accounts=1000, days=30, patterns=15)
    simulate_transfers(world, 1).to_csv(folder / "bank.csv", index=False)
    return folder


def test_payments_and_transfers_are_scored_with_reasons(simulated: Path) -> None:
    cards = review_file(simulated / "cards.csv", {**DEFAULTS, "budget": 3})
    assert cards.task == "transactions"
    assert cards.risk is not None
    assert 0 < len(cards.risk["alerts"]) <= 3
    assert all(alert["reasons"] for alert in cards.risk["alerts"])
    assert cards.risk["simulated_weights"]
    bank = review_file(simulated / "bank.csv", DEFAULTS)
    assert bank.task == "transfers"
    assert bank.risk is not None
    assert {alert["typology"] for alert in bank.risk["alerts"]} & {"fan_in", "fan_out", "cycle"}


def test_a_series_is_forecast_with_repeat_last_beside(tmp_path: Path) -> None:
    import numpy as np
    import pandas as pd

    days = pd.bdate_range("2020-01-01", periods=700)
    price = 100 * np.exp(np.random.default_rng(0).normal(0, 0.01, len(days)).cumsum())
    path = tmp_path / "prices.csv"
    pd.DataFrame({"date": days, "close": price}).to_csv(path, index=False)
    report = review_file(path, {**DEFAULTS, "horizon": 5})
    assert report.task == "forecast"
    assert report.forecast is not None
    (series,) = report.forecast.series
    assert len(series.forecast) == 5
    assert "repeating the last value" in series.says


def test_an_adapter_without_a_part_is_refused() -> None:
    from doyen_finance import weights

    with pytest.raises(DoyenError, match=r"FIN-001.*'oracle'"):
        weights.part("oracle")
