"""The order of a curriculum: what is open when, each sample's turns, and where difficulties come from."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectives_fixtures import examples, tiny_model
from pydantic import ValidationError

from doyen_schemas import DoyenError
from doyen_training.curriculum import CurriculumPart, CurriculumSampler, difficulties, row_difficulties


def part(**keys: object) -> CurriculumPart:
    return CurriculumPart.model_validate({"difficulty": "length"} | keys)


@pytest.mark.parametrize("order", ["easy-first", "hard-first"])
def test_audit_of_the_order(order: str) -> None:
    scores = [float(17 * n % 100) for n in range(100)]
    curriculum = part(order=order, start=0.1, until=0.5)
    sampler = CurriculumSampler(scores, curriculum, epochs=4, batch=10, seed=1)
    sequence = sampler.schedule(400)
    ranked = sorted(scores, reverse=order == "hard-first")
    for place, row in enumerate(sequence):
        opened = round(curriculum.open_share(place // 10 * 10 / 400) * 100)
        assert scores[row] in ranked[: max(opened, 10)]
    assert set(sequence[:10]) == {scores.index(value) for value in ranked[:10]}
    assert set(sequence) == set(range(100))
    late = Counter(sequence[200:])
    assert max(late.values()) - min(late.values()) <= 2  # two passes, cut anywhere
    assert sampler.schedule(400) == sequence


def test_epochs_are_slices_of_one_order_whatever_was_read_before() -> None:
    scores = [float(n) for n in range(23)]
    whole, resumed = (CurriculumSampler(scores, part(), epochs=3, batch=4, seed=5) for _ in range(2))
    epochs = []
    for epoch in range(3):
        whole.set_epoch(epoch)
        epochs.append(list(whole))
        assert len(epochs[-1]) == len(whole)
    resumed.set_epoch(2)
    assert list(resumed) == epochs[2]
    other = CurriculumSampler(scores, part(), epochs=3, batch=4, seed=6)
    assert list(other) != epochs[0]


@given(
    start=st.floats(0.01, 1),
    until=st.floats(0.05, 1),
    pacing=st.sampled_from(["root", "linear"]),
    t=st.floats(0, 1),
)
@settings(max_examples=50, deadline=None)
def test_what_is_open_only_grows(start: float, until: float, pacing: str, t: float) -> None:
    curriculum = part(start=start, until=until, pacing=pacing)
    assert curriculum.open_share(0.0) == pytest.approx(start)
    assert start - 1e-9 <= curriculum.open_share(t) <= curriculum.open_share(min(1.0, t + 0.1)) <= 1.0
    assert curriculum.open_share(until) == pytest.approx(1.0)


def test_a_shuffled_order_has_the_same_pace_and_no_difficulty() -> None:
    scores = [float(n) for n in range(200)]
    easy = CurriculumSampler(scores, part(), epochs=2, batch=10, seed=0).schedule(40)
    shuffled = CurriculumSampler(scores, part(order="shuffled"), epochs=2, batch=10, seed=0).schedule(40)
    assert max(easy) < 100
    assert max(shuffled) > 150


def test_difficulties(tmp_path: Path) -> None:
    rows = examples(5)
    assert difficulties(part(), rows, tmp_path) == [float(len(row.input_ids)) for row in rows]
    model = tiny_model()
    model.train()
    losses = difficulties(part(difficulty="loss"), rows, tmp_path, model)
    assert len(set(losses)) == 5
    assert all(3 < loss < 9 for loss in losses)
    assert model.training
    given_part = part(difficulty="given", scores="hard.json")
    with pytest.raises(DoyenError, match="TRN-067"):
        difficulties(given_part, rows, tmp_path)
    (tmp_path / "hard.json").write_text(json.dumps({f"e{n}": n for n in range(4)}))
    with pytest.raises(DoyenError, match=r"TRN-067.*1 of 5 records \(first: e4\)"):
        difficulties(given_part, rows, tmp_path)
    (tmp_path / "hard.json").write_text(json.dumps({f"e{n}": n / 2 for n in range(5)}))
    assert difficulties(given_part, rows, tmp_path) == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert row_difficulties([1.0, 3.0, 5.0], [[0, 1], [2]]) == [2.0, 5.0]
    for wrong in ({"difficulty": "given"}, {"scores": "x.json"}, {"start": 0}, {"order": "random"}):
        with pytest.raises(ValidationError):
            part(**wrong)
