"""Laundering: every planted pattern is found, honest bursts are told apart, halves share no account."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from doyen_finance.risk.aml import AmlModel, aml_alerts, fit_aml, load_aml
from doyen_finance.risk.aml_patterns import candidates
from doyen_finance.risk.measure import measure_aml
from doyen_finance.risk.simulate_transfers import TYPOLOGIES, TransferWorld, simulate_transfers
from doyen_finance.risk.train import bank_half
from doyen_finance.risk.transfers import Transfers, from_table
from doyen_schemas import DoyenError

WORLD = TransferWorld(accounts=1000, days=40, patterns=20)


@pytest.fixture(scope="module")
def model() -> AmlModel:
    return fit_aml([bank_half(WORLD, seed, 0) for seed in (0, 1, 2)], seed=0)


def transfers(rows: list[tuple[str, str, str, float]]) -> Transfers:
    """Rows of day and hour, from, to, amount."""
    frame = pd.DataFrame(rows, columns=["DATETIME", "FROM", "TO", "AMOUNT"])
    frame["DATETIME"] = pd.to_datetime("2024-01-" + frame["DATETIME"])
    return from_table(frame.assign(TRANSFER_ID=[str(n) for n in range(len(frame))]))


def test_the_simulator_is_seeded_and_keeps_patterns_in_one_half() -> None:
    made = simulate_transfers(WORLD, 3)
    assert made.equals(simulate_transfers(WORLD, 3))
    bad = made[made["TYPOLOGY"] != ""]
    assert set(bad["TYPOLOGY"]) == set(TYPOLOGIES)
    assert (bad["FROM"] % 2 == bad["TO"] % 2).all()


def test_train_and_test_share_no_account() -> None:
    assert not set(bank_half(WORLD, 0, 0).accounts) & set(bank_half(WORLD, 0, 1).accounts)


def test_a_planted_cycle_and_a_planted_fan_are_candidates() -> None:
    ring = [("02 10:00", "A", "B", 5000.0), ("03 09:00", "B", "C", 4900.0), ("04 09:00", "C", "A", 4800.0)]
    fan = [(f"1{n} 08:00", f"P{n}", "HUB", 900.0 + n) for n in range(4)]
    data = transfers([*ring, *fan, ("14 12:00", "HUB", "X", 3000.0), ("20 10:00", "B", "A", 10.0)])
    found, stopped = candidates(data)
    assert not stopped
    (cycle,) = [c for c in found if c.typology == "cycle"]
    assert data.ids[cycle.transfers].tolist() == ["0", "1", "2"]
    (fan_in,) = [c for c in found if c.typology == "fan_in"]
    assert data.accounts[fan_in.hub] == "HUB"
    assert len(fan_in.transfers) == 5


def test_a_cycle_that_runs_backwards_in_time_is_none() -> None:
    data = transfers(
        [("04 10:00", "A", "B", 5000.0), ("03 09:00", "B", "C", 4900.0), ("02 09:00", "C", "A", 4800.0)]
    )
    assert not [c for c in candidates(data)[0] if c.typology == "cycle"]


def test_other_accounts_of_the_same_bank_are_judged_well_above_the_floor(model: AmlModel) -> None:
    found = measure_aml(model, bank_half(WORLD, 0, 1), draws=20)
    assert found["simulated"] is True
    for typology in TYPOLOGIES:
        assert found[typology]["pr_auc"] > 2 * found[typology]["floor_amount_pr_auc"]
        assert found[typology]["ci95"][0] <= found[typology]["pr_auc"] + 0.05


def test_alerts_name_accounts_sums_and_hops(model: AmlModel) -> None:
    data = bank_half(WORLD, 5, 1)
    found, flags = aml_alerts(data, model)
    assert not flags
    assert {alert.typology for alert in found} == set(TYPOLOGIES)
    assert [alert.score for alert in found] == sorted((alert.score for alert in found), reverse=True)
    for alert in found:
        assert alert.reasons
        assert len(alert.hops) == min(alert.transfers, 50)
        assert alert.account in {end for hop in alert.hops for end in (hop.source, hop.target)}
    assert data.typology is not None
    true = np.mean(
        [
            (data.typology[[int(np.flatnonzero(data.ids == h.transfer)[0]) for h in a.hops]] != "").mean()
            for a in found
        ]
    )
    assert true > 0.7


def test_weights_are_read_as_they_were_saved(model: AmlModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    found, _ = candidates(bank_half(WORLD, 6, 1))
    np.testing.assert_array_equal(load_aml(tmp_path).scores(found), model.scores(found))
    (tmp_path / "aml.json").write_text("{}")
    with pytest.raises(DoyenError, match="FIN-075"):
        load_aml(tmp_path)


def test_training_needs_an_example_of_each_typology() -> None:
    with pytest.raises(DoyenError, match="FIN-074"):
        fit_aml([transfers([("02 10:00", "A", "B", 5.0)])], seed=0)
