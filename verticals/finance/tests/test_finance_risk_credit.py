"""The default score: monotone, honest about rows that it was trained on, with reasons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doyen_finance import weights
from doyen_finance.evaluate.credit_default import figures
from doyen_finance.risk.clients import FEATURES, PROTECTED, Clients
from doyen_finance.risk.credit import GROUPS, CreditModel, fit_credit, load_credit
from doyen_schemas import DoyenError

AT = {name: number for number, name in enumerate(FEATURES)}


def made_clients(count: int = 1500, seed: int = 0) -> Clients:
    """Made clients whose defaults follow delay and payments, with noise."""
    rng = np.random.default_rng(seed)
    x_NF = rng.normal(size=(count, len(FEATURES)))
    x_NF[:, AT["late_1"]] = rng.integers(-2, 4, count)
    x_NF[:, AT["limit"]] = rng.integers(1, 50, count) * 10_000
    x_NF[:, AT["mean_paid"]] = rng.gamma(1, 3000, count)
    odds = 0.8 * x_NF[:, AT["late_1"]] - x_NF[:, AT["mean_paid"]] / 5000 - 0.8
    label = (rng.uniform(size=count) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    protected = np.column_stack([rng.integers(1, 3, count), np.ones(count), np.full(count, 30)]).astype(float)
    digests = rng.integers(1, 2**63, count).astype(np.uint64)
    return Clients(np.arange(count).astype(str).astype(object), x_NF, label, protected, digests)


@pytest.fixture(scope="module")
def clients() -> Clients:
    return made_clients()


@pytest.fixture(scope="module")
def model(clients: Clients) -> CreditModel:
    return fit_credit(clients, seed=0)


def test_a_row_that_was_trained_on_is_scored_by_the_fold_that_held_it_out(
    model: CreditModel, clients: Clients
) -> None:
    fold = model.fold_of(clients.digests)
    assert set(fold) == set(range(5))
    scores = model.scores(clients.x_NF, clients.digests)
    row = 3
    alone = model.starts[fold[row]] + model.trees[fold[row]].total(clients.x_NF[row : row + 1])
    assert scores.score[row] == pytest.approx(alone[0])
    assert scores.seen.all()
    strangers = model.scores(clients.x_NF, clients.digests + np.uint64(1))
    assert not strangers.seen.any()
    assert not np.allclose(strangers.score, scores.score)


def test_figures_say_how_many_rows_were_seen_and_null_what_is_undefined(
    model: CreditModel, clients: Clients
) -> None:
    found = figures(clients, model, 800)
    assert found["n"] == 800
    assert found["seen_rows"] == 800
    assert found["ci95"]["auc"][0] < found["auc"] < found["ci95"]["auc"][1]
    assert 0.6 < found["auc"] < 0.95
    assert found["ece"] < 0.1
    assert set(found["by_sex"]) == {"1", "2"}
    one_class = replace(clients, label=np.zeros(len(clients.ids), np.int64))
    assert figures(one_class, model)["auc"] is None
    assert "class" in figures(one_class, model)["reason"]
    with pytest.raises(DoyenError, match="FIN-076"):
        figures(replace(clients, label=None), model)


def test_more_delay_never_lowers_the_score_and_more_payment_never_raises_it(
    model: CreditModel, clients: Clients
) -> None:
    new = clients.digests + np.uint64(1)
    for name, direction in FEATURES.items():
        if direction:
            low, high = clients.x_NF[:, AT[name]].min(), clients.x_NF[:, AT[name]].max()
            x_NF = np.repeat(clients.x_NF[:12], 5, axis=0)
            x_NF[:, AT[name]] = np.tile(np.linspace(low, high, 5), 12)
            scores = model.scores(x_NF, np.repeat(new[:12], 5)).score.reshape(12, 5)
            assert (direction * np.diff(scores) >= -1e-5).all(), name


def test_reasons_name_what_raises_the_risk(model: CreditModel, clients: Clients) -> None:
    x_NF = model.reference[None].copy()
    x_NF[0, AT["late_1"]] = 3
    (why,) = model.reasons(x_NF, np.array([1], np.uint64))
    assert why[0].code == "repayment_delay"
    assert "3 months behind" in why[0].text
    assert len(why) <= 4
    assert all(reason.contribution > 0 for reason in why)
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(FEATURES)
    assert not {name.lower() for name in PROTECTED} & set(FEATURES)


def test_weights_are_read_as_they_were_saved(model: CreditModel, clients: Clients, tmp_path: Path) -> None:
    model.save(tmp_path)
    read = load_credit(tmp_path).scores(clients.x_NF, clients.digests)
    for mine, theirs in zip(model.scores(clients.x_NF, clients.digests), read, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    (tmp_path / "credit.safetensors").write_bytes(b"short")
    with pytest.raises(DoyenError, match="FIN-075"):
        load_credit(tmp_path)


def test_training_needs_both_classes(clients: Clients) -> None:
    with pytest.raises(DoyenError, match="FIN-074"):
        fit_credit(replace(clients, label=None), seed=0)
    with pytest.raises(DoyenError, match="FIN-074"):
        fit_credit(replace(clients, label=np.ones(len(clients.ids), np.int64)), seed=0)


def test_the_shipped_model_ranks_a_client_in_arrears_above_one_who_pays() -> None:
    shipped = load_credit(weights.part("risk"))
    good, bad = shipped.reference.copy(), shipped.reference.copy()
    for name in ("late_1", "late_2", "worst_late"):
        bad[AT[name]] = 3
    bad[AT["months_late"]] = 4
    risk = shipped.scores(np.stack([good, bad]), np.array([1, 2], np.uint64)).risk
    assert risk[1] > 2 * risk[0]
    assert shipped.trained["figures"]["auc"] > 0.77
