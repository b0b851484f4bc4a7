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


def test_the_tuned_model_stands_in_card_and_figures_once_it_was_measured() -> None:
    release = adapters.read_release(weights.SHIPPED)
    metrics = json.loads((weights.SHIPPED / "evaluation.json").read_text())
    levels = {"top1": 0.3, "top3": 0.4, "top10": 0.5}
    metrics["reasoner"] = {
        "on": False, "reason": "the MRR of 9 development cases fell from 0.4000 to 0.3900",
        "figures": {
            "n": 9, "asked": 4, "moved": 2, "ranker": {"mrr": 0.4, **levels}, "with_model": {"mrr": 0.39, **levels},
            "gain": {"mrr": -0.01}, "ci95": {"mrr": [-0.02, 0.01]},
            "written": {"sentences": 12, "dropped": {"number": 2, "form": 1}},
        },
        "untuned": {"gain": {"mrr": -0.03}},
    }  # fmt: skip
    found = measurements(metrics)
    assert (found["reasoner.mrr"].value, found["reasoner.mrr"].n) == (0.39, 9)
    assert (found["reasoner.mrr_gain"].low, found["reasoner.mrr_gain"].high) == (-0.02, 0.01)
    page = card(release, metrics)
    assert "Tuned language model beside the ranker (off)" in page
    assert "| MRR | 0.390 |" in page
    assert "ranker alone 0.400" in page
    assert "-0.030" in page
    assert "fell from 0.4000 to 0.3900" in page
    assert "the check dropped 3" in page
