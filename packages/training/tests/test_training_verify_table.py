import json
import math
from pathlib import Path

import pytest

from doyen_schemas import DoyenError
from doyen_training.verify import discover
from doyen_training.verify.bench import DEV, STEPS
from doyen_training.verify.compare import compare
from doyen_training.verify.pgd import PLAIN_STEPS
from doyen_training.verify.rates import RATES, SHARED, all_arms
from doyen_training.verify.table import MARK, merge_results, read_results, render, sampling_error

BENCH = {
    "weights_sha256": "ab",
    "parameters": 1_000_000,
    "dev_loss": 4.2,
    "used_loss": 5.3,
    "chance_loss": 7.6,
    "classes": 16,
    "majority": 0.12,
    "dev_records": 440,
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
        assert (row["metric"], row["title"]) == (trials[name].metric, trials[name].title), name
        found = compare(row["arms"]["baseline"], row["arms"]["technique"], row["higher_is_better"])
        assert row["verdict"] == found.verdict, name
        assert row["interval"] == pytest.approx([found.low, found.high]), name


def test_what_the_page_says_of_the_results_is_so():
    results = read_results(DOCS / "verify.json")
    assert set(results["trials"]["pgd"]["arms"]["plain steps"]) == {min(PLAIN_STEPS)}
    assert max(results["trials"]["early-stopping"]["arms"]["steps taken"]) < STEPS
    assert results["trials"]["masked"]["verdict"] == "no gain"
    assert results["bench"]["used_loss"] > results["bench"]["dev_loss"]
    assert results["bench"]["dev_records"] == DEV, (
        "else the records that are measured on would vary with the seed"
    )


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


def test_the_sampling_error_is_that_of_a_share():
    assert sampling_error(0.5, 100) == pytest.approx(0.098)  # 1.96 · 0.05
    assert sampling_error(0.7, 440) == pytest.approx(1.96 * 0.021847, abs=1e-5)


@pytest.mark.parametrize(
    ("metric", "verdict", "difference", "marked"),
    [
        ("accuracy", "gain", 0.044, True),  # 4.46 points at 65 %
        ("accuracy", "gain", 0.045, False),
        ("accuracy", "worse", -0.044, True),
        ("accuracy on the smaller loss", "gain", 0.044, True),
        ("share of questions with one answer in both phrasings", "gain", 0.044, True),
        ("held-out loss, nats", "worse", 0.044, False),
    ],
)
def test_a_small_difference_of_shares_is_marked(metric, verdict, difference, marked):
    interval = sorted([difference / 2, difference * 3 / 2])
    row = ROW | {"metric": metric, "verdict": verdict, "difference": difference, "interval": interval}
    page = render({"bench": BENCH, "trials": {"a": row}})
    assert (f"| {verdict}, {MARK} |" in page) is marked
    assert (f"1 gain (1 of them {MARK}), 0 no gain" in page) is (marked and verdict == "gain")


def test_no_gain_is_not_marked_and_a_smaller_sample_marks_more():
    row = ROW | {"difference": 0.01, "interval": [-0.01, 0.03], "verdict": "no gain"}
    assert "| no gain |" in render({"bench": BENCH, "trials": {"a": row}})
    assert "| gain |" in render({"bench": BENCH, "trials": {"a": ROW}})
    assert f"| gain, {MARK} |" in render({"bench": BENCH | {"dev_records": 40}, "trials": {"a": ROW}})


@pytest.mark.parametrize(
    ("prefix", "metric", "marked"),
    [
        ("accuracy, ", "share of questions", True),
        ("", "accuracy", True),
        ("loss on running text, ", "accuracy", False),
        ("probability of a wrong answer, ", "accuracy", False),
    ],
)
def test_further_comparisons_are_marked_by_their_own_unit(prefix, metric, marked):
    names = {"baseline": f"{prefix}one", "technique": f"{prefix}two"}
    arms = ROW["arms"] | {names["baseline"]: [0.7] * 3, names["technique"]: [0.72] * 3}
    pair = names | {"difference": 0.02, "interval": [0.01, 0.03]}
    page = render({"bench": BENCH, "trials": {"a": ROW | {"metric": metric, "arms": arms, "also": [pair]}}})
    assert (f"| higher, {MARK} |" in page) is marked


def test_the_page_gives_the_loss_before_and_after_clauses_were_learned():
    page = render({"bench": BENCH, "trials": {"a": ROW}})
    assert "taken before clauses were learned, 4.20 nats" in page
    assert "the model that is used has 5.30 on the same text" in page


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


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"bench": {}, "trials": {"a": {"title": "t"}}}',
        json.dumps({"bench": {k: v for k, v in BENCH.items() if k != "used_loss"}, "trials": {"a": ROW}}),
    ],
)
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
