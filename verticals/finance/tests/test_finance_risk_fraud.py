"""The fraud model: arrays equal to scikit-learn's trees, the handbook's split and precision, reasons, the protocol."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from doyen_finance.evaluate import card_fraud
from doyen_finance.risk import trees
from doyen_finance.risk.calibration import calibration_error
from doyen_finance.risk.features import GROUPS, NAMES, features
from doyen_finance.risk.fraud import FraudModel, alerts, fit_fraud, load_fraud
from doyen_finance.risk.ranking import Ranker
from doyen_finance.risk.simulate import CardWorld, simulate_cards
from doyen_finance.risk.stored import Tensors
from doyen_finance.risk.transactions import Transactions, from_table
from doyen_finance.risk.weeks import card_precision, split
from doyen_schemas import DoyenError

WORLD = CardWorld(cards=150, terminals=120, days=30)


def table(seed: int = 0) -> pd.DataFrame:
    made = simulate_cards(WORLD, seed)
    return made.astype({"TRANSACTION_ID": str, "CUSTOMER_ID": str, "TERMINAL_ID": str})


@pytest.fixture(scope="module")
def data() -> Transactions:
    return from_table(table())


@pytest.fixture(scope="module")
def x_NF(data: Transactions) -> np.ndarray:
    return features(data)


@pytest.fixture(scope="module")
def model(data: Transactions, x_NF: np.ndarray) -> FraudModel:
    return fit_fraud(x_NF, data.fraud, data.scenario, seed=0, trees=10, trained={"seed": 0})


def test_the_simulator_is_seeded_and_makes_each_kind_of_fraud() -> None:
    assert table(1).equals(table(1))
    assert not table(1).equals(table(2))
    assert set(table(1)["TX_FRAUD_SCENARIO"]) == {0, 1, 2, 3}
    assert table(1)["TX_DATETIME"].is_monotonic_increasing
    assert 0.001 < table(1)["TX_FRAUD"].mean() < 0.1


def test_arrays_give_what_scikit_learn_gives(x_NF: np.ndarray, data: Transactions) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    x = x_NF.astype(np.float32)
    forest = RandomForestClassifier(8, min_samples_leaf=2, random_state=0).fit(x, data.fraud)
    np.testing.assert_allclose(trees.from_forest(forest).mean(x), forest.predict_proba(x)[:, 1], atol=1e-6)
    boosted = HistGradientBoostingClassifier(max_iter=12, random_state=0).fit(x, data.fraud)
    made, start = trees.from_boosting(boosted)
    np.testing.assert_allclose(start + made.total(x), boosted.decision_function(x), atol=1e-4)


def test_weights_are_saved_and_read_the_same_and_fitted_the_same(
    model: FraudModel, data: Transactions, x_NF: np.ndarray, tmp_path: Path
) -> None:
    model.save(tmp_path)
    again = load_fraud(tmp_path)
    for mine, read in zip(model.scores(x_NF), again.scores(x_NF), strict=True):
        np.testing.assert_array_equal(mine, read)
    assert again.trained == {"seed": 0}
    refit = fit_fraud(x_NF, data.fraud, data.scenario, seed=0, trees=10)
    np.testing.assert_array_equal(refit.scores(x_NF).risk, model.scores(x_NF).risk)
    (tmp_path / "fraud.json").write_text('{"features": ["amount"]}')
    with pytest.raises(DoyenError, match="FIN-075"):
        load_fraud(tmp_path)
    with pytest.raises(DoyenError, match="FIN-075"):
        load_fraud(tmp_path / "absent")


def test_trees_that_point_outside_their_arrays_are_refused(model: FraudModel) -> None:
    tensors = Tensors(model.forest.tensors("forest"))
    tensors["forest.left"] = tensors["forest.left"] + 10**6
    with pytest.raises(DoyenError, match="FIN-075"):
        trees.Trees.load(tensors, "forest", len(NAMES))


def test_risk_is_calibrated_and_rises_with_the_score(
    model: FraudModel, data: Transactions, x_NF: np.ndarray
) -> None:
    scores = model.scores(x_NF)
    order = np.argsort(scores.score)
    assert (np.diff(scores.risk[order]) >= 0).all()
    assert scores.risk.min() >= 0
    assert scores.risk.max() <= 1
    assert scores.scenario.sum(1) == pytest.approx(1)
    assert calibration_error(data.fraud, np.ones(len(data))) == pytest.approx(1 - data.fraud.mean())


def test_alerts_keep_to_the_budget_and_say_why(
    model: FraudModel, data: Transactions, x_NF: np.ndarray
) -> None:
    scores = model.scores(x_NF)
    found = alerts(data, x_NF, scores, model, budget=3)
    by_day = pd.Series([alert.time[:10] for alert in found]).value_counts()
    assert (by_day == 3).all()
    assert len({(alert.time[:10], alert.card) for alert in found}) == len(found)
    best = max(found, key=lambda alert: alert.risk)
    assert best.reasons
    assert {reason.code for alert in found for reason in alert.reasons} <= set(GROUPS)
    amounts = [a for a in found if a.reasons and a.reasons[0].code == "amount" and a.scenario != "terminal"]
    assert amounts
    assert any("times the mean of the card's other payments" in a.reasons[0].text for a in amounts)


def test_a_reason_is_what_the_score_loses_without_it(model: FraudModel, x_NF: np.ndarray) -> None:
    usual = np.tile(model.reference, (1, 1))
    dear = usual.copy()
    dear[0, NAMES.index("amount")], dear[0, NAMES.index("amount_to_mean_30d")] = 900.0, 18.0
    given = model.contributions(dear)
    assert given["amount"][0] > 1
    assert given["amount"][0] == max(value[0] for value in given.values())
    assert abs(model.contributions(usual)["time"][0]) < 1e-9


def test_the_split_is_the_handbooks(data: Transactions) -> None:
    train, test, removed = split(data)
    day = data.day - data.day[-1]
    assert set(day[train]) == set(range(-20, -13))
    assert set(day[test]) <= set(range(-6, 1))
    known: set[int] = set(data.customer[train][data.fraud[train] == 1].tolist())
    kept = []
    for offset in range(7):
        confirmed = (day == -14 + offset) & (data.fraud == 1)
        known |= set(data.customer[confirmed].tolist())
        kept += [row for row in np.flatnonzero(day == -6 + offset) if data.customer[row] not in known]
    assert test.tolist() == kept
    assert removed == int((day > -7).sum()) - len(kept)
    with pytest.raises(DoyenError, match="FIN-074"):
        split(data.rows(day > -20))
    with pytest.raises(DoyenError, match=r"FIN-074.*training week"):
        split(data.rows((day < -20) | (day > -14)))


def test_card_precision_counts_a_card_once_and_forgets_those_that_were_found() -> None:
    day, card = np.array([0, 0, 0, 0, 1, 1, 1]), np.array([1, 1, 2, 3, 1, 2, 3])
    fraud, score = np.array([0, 1, 0, 0, 1, 1, 0]), np.array([0.9, 0.1, 0.8, 0.2, 0.9, 0.8, 0.7])
    # Day 0: cards 1 (compromised) and 2. Day 1: card 1 has left, so cards 2 (compromised) and 3.
    assert card_precision(day, card, fraud, score, k=2) == {0: 0.5, 1: 0.5}
    assert card_precision(day, card, fraud, score, k=1) == {0: 1.0, 1: 1.0}


def test_the_ranking_figures_are_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 2, 300), np.round(rng.normal(size=300), 1)
    weight = rng.integers(0, 3, 300).astype(np.float64)
    found = Ranker(label, score)(weight)
    assert found is not None
    assert found.auc == pytest.approx(roc_auc_score(label, score, sample_weight=weight))
    assert found.ap == pytest.approx(average_precision_score(label, score, sample_weight=weight))
    assert Ranker(np.zeros(3, np.int64), np.zeros(3))() is None


def test_the_protocol_reads_a_file_and_reports_beside_a_forest(tmp_path: Path) -> None:
    path = tmp_path / "transactions.csv"
    simulate_cards(CardWorld(cards=250, terminals=120, days=32), 3).to_csv(path, index=False)
    found = card_fraud.evaluate_file(path, 30)
    for name in ("auc", "ap", "cp_at_100", "ece", "alerts_per_day", "rf_auc", "rf_ap", "rf_cp_at_100"):
        assert 0 <= found[name] <= 100
    assert found["ci95"]["auc"][0] <= found["auc"] <= found["ci95"]["auc"][1]
    assert set(found["minus_rf"]) == {"auc", "ap"}
    assert found["train_rows_repeated_with_short_delay"]
    assert found["history_days"] == 9
    assert found["ap"] > 2 * found["floor"]["random_scores_ap"]


def test_a_test_week_without_fraud_has_no_figure_but_a_reason(data: Transactions) -> None:
    fraud = np.where(data.day > data.day[-1] - 7, 0, data.fraud)
    run = card_fraud.train_and_score(replace(data, fraud=fraud, scenario=None))
    found = card_fraud.figures(run, draws=2)
    assert found["auc"] is None
    assert "lacks a class" in found["reason"]


def test_a_training_week_without_fraud_is_refused(data: Transactions) -> None:
    with pytest.raises(DoyenError, match="FIN-074"):
        card_fraud.train_and_score(replace(data, fraud=np.zeros(len(data), np.int64)))
