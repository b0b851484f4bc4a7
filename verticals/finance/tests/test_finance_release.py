"""The finance release: figures and card come from one file; the probe answers for every part."""

from __future__ import annotations

import json

from doyen_finance import weights
from doyen_finance.probe import probe
from doyen_finance.release import card, measurements
from doyen_runtime import adapters


def test_the_released_figures_are_those_of_the_evaluation() -> None:
    release = adapters.read_release(weights.SHIPPED)
    metrics = json.loads((weights.SHIPPED / "evaluation.json").read_text())
    assert release.evaluation == measurements(metrics)
    assert set(release.primary) <= set(release.evaluation)
    assert not release.evaluation["credit_default.ece"].higher_is_better
    assert card(release, metrics) == (weights.SHIPPED / "MODEL_CARD.md").read_text()


def test_figures_without_the_shipped_weights_are_in_the_card_alone() -> None:
    metrics = json.loads((weights.SHIPPED / "evaluation.json").read_text())
    assert "card_fraud" in metrics
    assert not any(name.startswith(("card_fraud", "ixbrl", "scans")) for name in measurements(metrics))


def test_a_missed_aim_says_so() -> None:
    release = adapters.read_release(weights.SHIPPED)
    page = card(
        release, {"tfns_dev": {"n": 7, "accuracy": 0.5, "macro_f1": 0.4, "floor_accuracy": 0.6, "ci95": {}}}
    )
    [row] = [line for line in page.splitlines() if line.startswith("| accuracy (7)")]
    assert "0.600 | 0.865 | missed" in row


def test_the_probe_answers_for_every_part() -> None:
    found = probe(weights.SHIPPED)
    assert {name.partition("_")[0] for name in found} >= {"sentiment", "forecaster", "risk", "questions"}
    assert found == probe(weights.SHIPPED)
