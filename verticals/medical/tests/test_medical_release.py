"""The medical release: figures and card come from one file."""

from __future__ import annotations

import json

from doyen_medical import weights
from doyen_medical.release import card, measurements
from doyen_runtime import adapters


def test_the_released_figures_are_those_of_the_evaluation() -> None:
    release = adapters.read_release(weights.SHIPPED)
    metrics = json.loads((weights.SHIPPED / "evaluation.json").read_text())
    assert release.evaluation == measurements(metrics)
    assert {"papers.top1", "papers.top10", "pubmedqa.macro_f1"} == set(release.primary)
    assert not release.evaluation["papers.ece"].higher_is_better
    assert release.evaluation["concepts.document_f1"].n == 22
    assert card(release, metrics) == (weights.SHIPPED / "MODEL_CARD.md").read_text()


def test_the_card_puts_the_best_plain_method_and_the_aim_beside_each_figure() -> None:
    release = adapters.read_release(weights.SHIPPED)
    metrics = json.loads((weights.SHIPPED / "evaluation.json").read_text())
    metrics["papers_dev"] |= {"top1": 0.2, "floors": {"resnik": {"top1": 0.1}, "fusion": {"top1": 0.3}}}
    metrics["papers_dev"]["strata"] = {}
    [row] = [line for line in card(release, metrics).splitlines() if line.startswith("| top-1 | 0.200")]
    assert "fusion 0.300 | 0.350 | missed" in row


def test_a_protocol_that_was_not_measured_is_not_stated() -> None:
    assert measurements({}) == {}
    found = measurements({"papers_dev": {"top1": 0.3, "top3": None, "n": 5}})
    assert set(found) == {"papers.top1"}
    assert found["papers.top1"].n == 5
