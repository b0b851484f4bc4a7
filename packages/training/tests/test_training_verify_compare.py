import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_schemas import DoyenError
from doyen_training.verify.compare import compare, run_trial
from doyen_training.verify.trial import Trial

figures = st.floats(-10, 10, allow_nan=False)


def test_the_interval_is_students_t_on_the_paired_differences():
    # Differences 1, 2, 3: mean 2, standard deviation 1, half width 4.303 / sqrt(3) = 2.484.
    found = compare([0.0, 10.0, 20.0], [1.0, 12.0, 23.0], higher_is_better=True)
    assert found.mean == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0 - 2.4843, abs=1e-4)
    assert found.high == pytest.approx(2.0 + 2.4843, abs=1e-4)
    assert found.verdict == "no gain"


@pytest.mark.parametrize(
    ("technique", "higher", "verdict"),
    [
        ([2.0, 3.1, 4.0], True, "gain"),
        ([2.0, 3.1, 4.0], False, "worse"),
        ([0.0, 0.9, 2.0], False, "gain"),
        ([0.0, 0.9, 2.0], True, "worse"),
        ([1.0, 2.0, 3.0], True, "no gain"),
    ],
)
def test_the_verdict_follows_the_direction_of_the_metric(technique, higher, verdict):
    assert compare([1.0, 2.0, 3.0], technique, higher).verdict == verdict


@given(st.lists(st.tuples(figures, figures), min_size=2, max_size=10))
def test_the_direction_only_exchanges_gain_and_worse(pairs):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    up, down = compare(a, b, True), compare(a, b, False)
    assert (up.mean, up.low, up.high) == (down.mean, down.low, down.high)
    assert {up.verdict, down.verdict} in ({"gain", "worse"}, {"no gain"})
    assert up.low <= up.mean <= up.high


def trial(run):
    return Trial("t", "a against b", (17,), "accuracy", True, run)


def test_a_row_holds_every_arm_of_every_seed():
    row = run_trial(trial(lambda bench, seed: {"baseline": seed, "technique": seed + 1, "other": 7}), None, 3)
    assert row["arms"] == {"baseline": [0, 1, 2], "technique": [1, 2, 3], "other": [7, 7, 7]}
    assert row["interval"] == [1, 1]
    assert row["verdict"] == "gain"


def test_further_pairs_are_compared_and_must_be_there():
    def run(bench, seed):
        return {"baseline": seed, "technique": seed, "honest": seed + 1.0, "loss": 3.0 - seed}

    row = run_trial(replace(trial(run), also=(("baseline", "honest"),)), None, 3)
    assert row["verdict"] == "no gain"
    assert row["also"] == [
        {"baseline": "baseline", "technique": "honest", "difference": 1, "interval": [1, 1]}
    ]
    with pytest.raises(DoyenError, match="absent") as found:
        run_trial(replace(trial(run), also=(("baseline", "absent"),)), None, 2)
    assert found.value.code == "TRN-093"


@pytest.mark.parametrize("arms", [{"baseline": 1.0}, {"baseline": 1.0, "technique": math.nan}])
def test_a_missing_or_not_finite_arm_is_refused(arms):
    with pytest.raises(DoyenError, match="technique") as found:
        run_trial(trial(lambda bench, seed: arms), None, 2)
    assert found.value.code == "TRN-093"
