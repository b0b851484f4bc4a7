import json
import math
from pathlib import Path

import pytest

from doyen_schemas import DoyenError
from doyen_training.verify import discover
from doyen_training.verify.compare import compare
from doyen_training.verify.rates import RATES, SHARED, all_arms
from doyen_training.verify.table import merge_results, read_results, render

BENCH = {
    "weights_sha256": "ab",
    "parameters": 1_000_000,
    "dev_loss": 4.2,
    "chance_loss": 7.6,
    "classes": 16,
    "majority": 0.12,
}
ROW = {
    "title": "one against two",
    "rows": [17],
    "metric": "accuracy",
    "higher_is_better": True,
    "claim": None,
    "arms": {"baseline": [0.5, 0.6, 0.7], "technique": [0.6, 0.7, 0.8], "random": [0.1, 0.2, 0.3]},
    "difference": 0.1,
    "interval": [0.05, 0.15],
    "verdict": "gain",
    "also": [],
    "seconds": 12.3,
}


DOCS = Path(__file__).parents[3] / "infra" / "docs"


def test_the_committed_page_is_made_from_the_committed_results():
    results = read_results(DOCS / "verify.json")
    assert (DOCS / "verify.md").read_text() == render(results)
    trials = discover()
    assert results["trials"].keys() <= trials.keys()
    for name, row in results["trials"].items():
        assert row["metric"] == trials[name].metric, name
        found = compare(row["arms"]["baseline"], row["arms"]["technique"], row["higher_is_better"])
        assert row["verdict"] == found.verdict, name
        assert row["interval"] == pytest.approx([found.low, found.high]), name


def test_every_rate_is_the_best_that_was_seen():
    seen = read_results(DOCS / "verify.json")["rates"]
    assert seen.keys() == RATES.keys() == all_arms(discover().values()).keys()
    for arm, losses in seen.items():
        finite = {float(rate): loss for rate, loss in losses.items() if loss is not None}
        assert min(finite, key=lambda rate: finite[rate]) == RATES[arm], arm
    assert SHARED.keys().isdisjoint(RATES)
    assert set(SHARED.values()) <= RATES.keys()


def test_losses_by_rate_are_merged_beside_the_rows_and_go_with_their_model(tmp_path):
    file = tmp_path / "verify.json"
    merge_results(file, BENCH, {"a": ROW})
    merge_results(file, BENCH, rates={"lora": {0.003: 0.51234, 0.01: math.inf}})
    merge_results(file, BENCH, rates={"full": {0.01: 0.5}})
    results = read_results(file)
    assert list(results["trials"]) == ["a"]
    assert results["rates"] == {"full": {"0.01": 0.5}, "lora": {"0.003": 0.5123, "0.01": None}}
    page = render(results)
    assert "| lora | 0.003 | 0.003: 0.5123, 0.01: broke down | pissa, dora, rslora |" in page
    merge_results(file, BENCH | {"weights_sha256": "cd"}, {"b": ROW})
    assert read_results(file)["rates"] == {}


def test_further_comparisons_stand_below_their_row():
    pair = {"baseline": "baseline", "technique": "random", "difference": -0.4, "interval": [-0.5, -0.3]}
    page = render({"bench": BENCH, "trials": {"a": ROW | {"also": [pair]}}})
    line = "| ↳ | random against baseline |  | 0.6 | 0.2 | -0.4 [-0.5, -0.3] | lower |  |  |  |"
    assert line in page.splitlines()
    assert "one against two |" in page, "an arm that is compared is not listed again"


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [("accuracy", 0.13, True), ("accuracy", 0.2, False), ("loss, nats", 0.13, False)],
)
def test_a_technique_that_did_not_learn_is_said_not_to_have(metric, value, said):
    row = ROW | {"metric": metric, "verdict": "worse", "arms": ROW["arms"] | {"technique": [value] * 3}}
    page = render({"bench": BENCH, "trials": {"a": row}})
    assert ("| worse, task not learned |" in page) is said


def test_rows_are_merged_and_replaced(tmp_path):
    file = tmp_path / "docs" / "verify.json"
    merge_results(file, BENCH, {"b": ROW})
    merge_results(file, BENCH, {"a": ROW, "b": ROW | {"verdict": "worse"}})
    trials = read_results(file)["trials"]
    assert list(trials) == ["a", "b"]
    assert trials["b"]["verdict"] == "worse"


def test_rows_of_another_model_do_not_mix(tmp_path):
    file = tmp_path / "verify.json"
    merge_results(file, BENCH, {"b": ROW})
    merge_results(file, BENCH | {"weights_sha256": "cd"}, {"a": ROW})
    assert list(read_results(file)["trials"]) == ["a"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bench": {}, "trials": {"a": {"title": "t"}}}'])
def test_another_file_is_neither_read_nor_overwritten(tmp_path, content):
    file = tmp_path / "verify.json"
    file.write_text(content)
    for use in (lambda: read_results(file), lambda: merge_results(file, BENCH, {"a": ROW})):
        with pytest.raises(DoyenError, match="TRN-094"):
            use()
    assert file.read_text() == content


def test_the_page_says_what_was_compared_measured_and_claimed():
    trials = {"a": ROW, "b": ROW | {"verdict": "no gain", "claim": "3| times", "interval": [-0.1, 0.3]}}
    page = render({"bench": BENCH, "trials": trials})
    assert "2 techniques: 1 gain, 1 no gain, 0 worse." in page
    assert (
        "| `a` | one against two (random 0.2) | accuracy ↑ | 0.6 | 0.7 | +0.1 [+0.05, +0.15] | gain | 3 | 12 | — |"
        in page
    )
    assert "3\\| times" in page
    assert json.dumps(trials)  # what is rendered is what was written
