"""The commands, end to end on simulated files."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doyen_finance.cli.risk import app
from doyen_schemas import DoyenError

run = CliRunner().invoke


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    result = run(
        app, ["simulate", "--out", str(folder), "--cards", "100", "--days", "25", "--seed", "1", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["simulated"] is True
    return folder


def test_transactions_gives_alerts_within_the_budget(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "alerts.csv"
    arguments = ["transactions", str(made / "transactions.csv"), "--budget", "5", "--out", str(out), "--json"]
    first = run(app, arguments)
    found = json.loads(first.output)
    assert len(found["alerts"]) == 5
    assert found["simulated_weights"] is True
    assert found["alerts"][0]["reasons"]
    assert len(list(csv.DictReader(out.open()))) == 5
    assert run(app, arguments).output == first.output


def test_aml_gives_alerts_with_hops(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "alerts.csv"
    found = json.loads(run(app, ["aml", str(made / "transfers.csv"), "--out", str(out), "--json"]).output)
    assert found["simulated_weights"] is True
    assert found["alerts"]
    assert all(alert["hops"] and alert["reasons"] for alert in found["alerts"])
    assert len(list(csv.DictReader(out.open()))) == len(found["alerts"])
    assert "fan" in run(app, ["aml", str(made / "transfers.csv")]).output


def test_what_cannot_be_written_is_coded(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (
        ["transactions", str(made / "transactions.csv"), "--out", str(tmp_path / "absent" / "a.csv")],
        ["simulate", "--out", str(tmp_path / "file")],
    ):
        error = run(app, arguments).exception
        assert isinstance(error, DoyenError)
        assert error.code == "FIN-077"


def test_credit_scores_each_client_with_reasons(tmp_path: Path) -> None:
    months = ["PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"]
    bills, paid = [f"BILL_AMT{m}" for m in range(1, 7)], [f"PAY_AMT{m}" for m in range(1, 7)]
    path, out = tmp_path / "clients.csv", tmp_path / "scores.csv"
    late = ["=7", "20000", *["3"] * 6, *["19000"] * 6, *["0"] * 6]
    good = ["8", "300000", *["-1"] * 6, *["9000"] * 6, *["9000"] * 6]
    path.write_text(
        "\n".join(",".join(row) for row in (["ID", "LIMIT_BAL", *months, *bills, *paid], late, good))
    )
    found = json.loads(run(app, ["credit", str(path), "--out", str(out), "--json"]).output)
    assert found["clients"][0]["risk"] > 0.4 > 0.2 > found["clients"][1]["risk"]
    assert found["clients"][0]["reasons"][0]["code"] == "repayment_delay"
    assert found["seen_rows"] == 0
    assert next(csv.DictReader(out.open()))["client"] == "'=7"


def test_the_same_training_writes_the_same_weights(tmp_path: Path) -> None:
    from doyen_finance.risk.simulate_transfers import TransferWorld
    from doyen_finance.risk.train import train_aml

    world = TransferWorld(accounts=1000, days=30, patterns=12)
    for name in ("a", "b"):
        figures = train_aml(tmp_path / name, world)
        assert all(found["simulated"] for found in figures.values())
    assert (tmp_path / "a" / "aml.safetensors").read_bytes() == (
        tmp_path / "b" / "aml.safetensors"
    ).read_bytes()
