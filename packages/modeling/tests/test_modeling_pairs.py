"""The pair classifier: learning, averaging, and the low-rank delta that ships."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doyen_modeling.pairs import (
    Pair,
    PairClassifier,
    PairRecipe,
    embed,
    fit,
    load_delta,
    predict,
    recipe_settings,
    save_delta,
)  # fmt: skip
from doyen_schemas import DoyenError

RECIPE = PairRecipe(
    labels=("yes", "no"), class_weights=(1.0, 1.0), max_tokens=64, frozen_layers=4, epochs=6, batch_pairs=8,
    learning_rate=3e-4, average=0.8, rank=16,
)  # fmt: skip
TRAIN = [
    Pair(f"The {thing} is {colour}.", f"The {thing} is {said}.", int(colour != said))
    for thing in ("house", "car", "boat", "door")
    for colour in ("red", "green")
    for said in ("red", "green")
]


@pytest.fixture(scope="module")
def trained() -> tuple[PairClassifier, list[float]]:
    losses: list[float] = []
    model = fit(RECIPE, lambda epoch: TRAIN, seed=1, on_epoch=lambda epoch, loss, model: losses.append(loss))
    return model, losses


def test_it_learns(trained: tuple[PairClassifier, list[float]]) -> None:
    model, losses = trained
    assert len(losses) == RECIPE.epochs
    assert losses[-1] < losses[0]
    right = predict(model, TRAIN).argmax(1) == [pair.label for pair in TRAIN]
    assert right.mean() > 0.7


def test_the_same_seed_gives_the_same_weights() -> None:
    short = PairRecipe(labels=("yes", "no"), class_weights=(1, 1), epochs=1, batch_pairs=8, frozen_layers=5)
    first, second = (fit(short, lambda epoch: TRAIN[:8], seed=3) for _ in range(2))
    np.testing.assert_array_equal(predict(first, TRAIN), predict(second, TRAIN))


def test_frozen_layers_do_not_move(trained: tuple[PairClassifier, list[float]]) -> None:
    base = PairClassifier(("yes", "no")).encoder.state_dict()
    moved = {
        name.split(".")[2]
        for name, value in trained[0].encoder.state_dict().items()
        if not np.array_equal(value.numpy(), base[name].numpy())
    }
    assert moved == {"4", "5"}


def test_saved_and_loaded_it_answers_the_same(
    trained: tuple[PairClassifier, list[float]], tmp_path: Path
) -> None:
    path = tmp_path / "pairs.safetensors"
    config = save_delta(trained[0], path, 384, {"seed": 1})
    loaded, read = load_delta(path)
    assert read == config
    assert read["seed"] == 1
    np.testing.assert_allclose(predict(loaded, TRAIN), predict(trained[0], TRAIN), atol=0.02)


def test_a_lower_rank_is_smaller_and_near(
    trained: tuple[PairClassifier, list[float]], tmp_path: Path
) -> None:
    sizes, distances = [], []
    for rank in (4, 64):
        path = tmp_path / f"r{rank}.safetensors"
        save_delta(trained[0], path, rank, {})
        sizes.append(path.stat().st_size)
        distances.append(np.abs(predict(load_delta(path)[0], TRAIN) - predict(trained[0], TRAIN)).mean())
    assert sizes[0] < sizes[1] < 3_000_000
    assert distances[1] <= distances[0] + 1e-3


def test_order_and_batching_do_not_change_an_answer(trained: tuple[PairClassifier, list[float]]) -> None:
    whole = predict(trained[0], TRAIN)
    one_by_one = np.concatenate([predict(trained[0], [pair]) for pair in TRAIN])
    np.testing.assert_allclose(whole, one_by_one, atol=0.03)
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-3)
    np.testing.assert_allclose(predict(trained[0], TRAIN[::-1], 64)[::-1], whole, atol=0.03)
    assert predict(trained[0], []).shape == (0, 2)


def test_only_the_first_text_is_cut(trained: tuple[PairClassifier, list[float]]) -> None:
    [(ids, first)] = trained[0].encode([Pair("word " * 500, "The car is red.", 0)])
    assert len(ids) == RECIPE.max_tokens
    hypothesis = trained[0].tokenizer.encode("The car is red.", add_special_tokens=False).ids
    assert ids[first:-1] == hypothesis


def test_embeddings_are_unit_vectors_that_know_the_topic() -> None:
    texts: Sequence[str] = [
        "The seller delivers the goods.",
        "Goods are shipped by the vendor.",
        "Bees make honey.",
    ]
    vectors = embed(texts)
    np.testing.assert_allclose((vectors**2).sum(1), 1, atol=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_weights_of_another_encoder_are_refused(
    trained: tuple[PairClassifier, list[float]], tmp_path: Path
) -> None:
    path = tmp_path / "pairs.safetensors"
    save_delta(trained[0], path, 4, {})
    config = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(config | {"encoder_sha256": "0" * 64}))
    with pytest.raises(DoyenError, match="MOD-033"):
        load_delta(path)


@pytest.mark.parametrize("break_it", ["weights", "config", "missing"])
def test_broken_files_are_refused(
    trained: tuple[PairClassifier, list[float]], tmp_path: Path, break_it: str
) -> None:
    path = tmp_path / "pairs.safetensors"
    save_delta(trained[0], path, 4, {})
    if break_it == "weights":
        path.write_bytes(path.read_bytes()[:100])
    elif break_it == "config":
        path.with_suffix(".json").write_text("{")
    else:
        path.unlink()
    with pytest.raises(DoyenError, match="MOD-032"):
        load_delta(path)


def test_a_recipe_needs_a_weight_for_each_label() -> None:
    with pytest.raises(DoyenError, match="MOD-031"):
        PairRecipe(labels=("yes", "no"), class_weights=(1.0,))
    assert recipe_settings(RECIPE)["rank"] == 16


def test_a_student_follows_its_teacher_more_than_the_labels(
    trained: tuple[PairClassifier, list[float]],
) -> None:
    teacher_NC = np.tile(np.float32([0.9, 0.1]), (len(TRAIN), 1))  # it always says yes
    recipe = replace(RECIPE, epochs=2, distil_weight=1.0)
    student = fit(recipe, lambda epoch: TRAIN, 1, teacher_NC=teacher_NC, start=trained[0])
    before = np.abs(predict(trained[0], TRAIN) - teacher_NC).mean()
    assert np.abs(predict(student, TRAIN) - teacher_NC).mean() < 0.7 * before


def test_a_teacher_of_other_pairs_is_refused() -> None:
    with pytest.raises(DoyenError, match="MOD-034"):
        fit(RECIPE, lambda epoch: TRAIN, 1, teacher_NC=np.ones((3, 2), dtype=np.float32))
    with pytest.raises(DoyenError, match="MOD-034"):
        replace(RECIPE, distil_weight=1.5)
