"""The gate: figures against the current release, forgetting, and whether the weights are alive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from release_fixtures import adapter, figure, spec, use_keys, weightless

from doyen_evaluation.release import language
from doyen_evaluation.release.build import build, write
from doyen_evaluation.release.gate import Check, GateResult, forgetting, run_gate
from doyen_evaluation.release.spec import assemble
from doyen_evaluation.release.store import refuse
from doyen_runtime import adapters
from doyen_runtime.settings import get_settings
from doyen_schemas import AdapterRelease, DoyenError, Measurement
from doyen_testkit.models import tiny_llama


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_keys(tmp_path / "keys", monkeypatch)
    yield
    get_settings.cache_clear()


def check(result: GateResult, name: str) -> Check:
    return next(check for check in result.checks if check.name == name)


def bundle(
    root: Path, name: str, scores: dict[str, float] | None = None, **changes: Any
) -> tuple[Path, AdapterRelease]:
    """A release of the test vertical with the figure ``f1``, and the scores of its items."""
    weights = weightless(root / f"{name}-weights")
    if scores is not None:
        (weights / "f1.json").write_text(json.dumps(scores))
        mean = sum(scores.values()) / len(scores)
        changes = {"evaluation": {"f1": figure(mean, n=len(scores), items="f1.json")}} | changes
    release = build(weights, assemble(weights, spec(root, **changes), root), root / name, previous=None)
    return root / name, release


def verdict(root: Path, new: Measurement, old: Measurement) -> Check:
    _, before = bundle(root, "old", evaluation={"f1": old})
    folder, _ = bundle(root, "new", evaluation={"f1": new})
    result = run_gate(folder, before=before, before_folder=root / "old")
    assert result.passed == (not result.failures)
    return check(result, "figure f1")


def test_the_first_release_has_nothing_to_compare_with(tmp_path: Path) -> None:
    folder, release = bundle(tmp_path, "new")
    result = run_gate(folder)
    assert result.passed
    assert result.current is None
    assert result.candidate.digest == adapters.release_digest(release)
    assert check(result, "figure f1").verdict == "not applicable"
    assert check(result, "forgetting").verdict == "not applicable", "no language model"
    assert check(result, "alive vertical").verdict == "passed"


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (figure(0.60), figure(0.60), "passed"),
        (figure(0.56), figure(0.60), "passed"),
        (figure(0.54), figure(0.60), "failed"),
        (figure(0.70), figure(0.60), "passed"),
        (figure(0.64, higher_is_better=False), figure(0.60, higher_is_better=False), "passed"),
        (figure(0.66, higher_is_better=False), figure(0.60, higher_is_better=False), "failed"),
        (figure(0.66, higher_is_better=False), figure(0.60), "failed"),
        (figure(0.59), figure(0.60, low=None, high=None), "failed"),
        (figure(0.60, low=None, high=None), figure(0.60, low=None, high=None), "passed"),
        (figure(0.90, n=5), figure(0.60), "failed"),
    ],
)
def test_a_figure_must_not_lie_beyond_the_current_interval(
    tmp_path: Path, new: Measurement, old: Measurement, expected: str
) -> None:
    found = verdict(tmp_path, new, old)
    assert found.verdict == expected
    assert "paired" not in found.reason


def test_items_are_compared_pair_by_pair(tmp_path: Path) -> None:
    """0.02 less on every item is within the interval of the mean, and yet worse for certain."""
    old = {f"contract-{number}": number % 10 / 10 for number in range(40)}
    _, before = bundle(tmp_path, "old", old)
    for name, change, expected in (
        ("worse", -0.02, "failed"),
        ("same", 0.0, "passed"),
        ("better", 0.02, "passed"),
    ):
        folder, _ = bundle(tmp_path, name, {item: score + change for item, score in old.items()})
        found = check(run_gate(folder, before=before, before_folder=tmp_path / "old"), "figure f1")
        assert "paired, 40 items" in found.reason
        assert found.verdict == expected
        assert found.figures["gain"] == pytest.approx(change)
    folder, _ = bundle(
        tmp_path, "noisy", {item: score + (-1) ** n * 0.1 for n, (item, score) in enumerate(old.items())}
    )
    assert (
        check(run_gate(folder, before=before, before_folder=tmp_path / "old"), "figure f1").verdict
        == "passed"
    )
    assert "independent" in check(run_gate(folder, before=before), "figure f1").reason, "without the folder"


def test_scores_that_do_not_belong_together_are_not_paired(tmp_path: Path) -> None:
    old = {"a": 0.4, "b": 0.6}
    _, before = bundle(tmp_path, "old", old)
    folder, _ = bundle(tmp_path, "others", {"a": 0.4, "c": 0.6})
    result = run_gate(folder, before=before, before_folder=tmp_path / "old")
    assert "independent" in check(result, "figure f1").reason
    claim = figure(0.9, n=2, items="f1.json")
    folder, _ = bundle(tmp_path, "claimed", old, evaluation={"f1": claim})
    result = run_gate(folder, before=before, before_folder=tmp_path / "old")
    assert "independent" in check(result, "figure f1").reason, "the items do not give the value"
    (tmp_path / "old" / "f1.json").write_text('{"a": 0, "b": 0}')
    folder, _ = bundle(tmp_path, "same", old)
    result = run_gate(folder, before=before, before_folder=tmp_path / "old")
    assert "independent" in check(result, "figure f1").reason, "the current scores were changed"
    folder, _ = bundle(tmp_path, "broken", old)
    (folder / "f1.json").write_text("[]")
    with pytest.raises(DoyenError, match="RUN-013"):
        run_gate(folder, before=before, before_folder=tmp_path / "old")


def test_a_figure_that_is_dropped_or_new(tmp_path: Path) -> None:
    _, before = bundle(tmp_path, "old")
    folder, _ = bundle(tmp_path, "new", evaluation={"recall": figure(0.6)}, primary=["recall"])
    result = run_gate(folder, before=before)
    assert check(result, "figure f1").verdict == "failed", "a primary figure cannot be left out"
    assert check(result, "figure recall").verdict == "not applicable"


def test_what_was_not_measured_does_not_pass(tmp_path: Path) -> None:
    """Releases that build would not make: signed by hand without primary figures, without probes."""
    weights = weightless(tmp_path / "weights")
    release = assemble(weights, spec(tmp_path), tmp_path)
    signer = build(weights, release, tmp_path / "whole", previous=None)
    bare = signer.model_copy(update={"primary": [], "probes": {}})
    write(weights, bare)
    result = run_gate(weights)
    assert {check.name for check in result.failures} == {"figures", "probed"}
    with pytest.raises(DoyenError) as raised:
        refuse(result)
    assert raised.value.code == "EVA-028"
    assert "no primary figure" in raised.value.message


def test_a_vertical_that_answers_otherwise_than_at_build(tmp_path: Path) -> None:
    folder, release = bundle(tmp_path, "new")
    (folder / "config.json").write_text('{"answer": 0.505}')
    write(folder, release.model_copy(update={"files": adapters.describe(folder)}))
    assert check(run_gate(folder), "alive vertical").verdict == "passed", "within the noise"
    (folder / "config.json").write_text('{"answer": 0.55}')
    write(folder, release.model_copy(update={"files": adapters.describe(folder)}))
    assert check(run_gate(folder), "alive vertical").verdict == "failed"
    other = release.model_copy(update={"files": adapters.describe(folder), "vertical": "nobody"})
    write(folder, other)
    assert check(run_gate(folder), "alive vertical").verdict == "failed", "the vertical is not installed"


def test_the_general_text_is_long_enough_and_plain() -> None:
    text = language.general_text()
    assert len(text.split()) > 700
    assert text.isascii()


@pytest.mark.parametrize(
    ("tuned", "expected"), [(30.0, "passed"), (43.9, "passed"), (44.1, "failed"), (float("nan"), "failed")]
)
def test_perplexity_may_rise_up_to_the_limit(tuned: float, expected: str) -> None:
    assert forgetting("llm", 40.0, tuned, 10.0).verdict == expected


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "base")


def test_forgetting_and_life_of_a_language_models_adapter(base: Path, tmp_path: Path) -> None:
    weights = adapter(tmp_path / "weights", base, 0.02)
    release = build(
        weights, assemble(weights, spec(tmp_path, base=base), tmp_path), tmp_path / "1", previous=None
    )
    result = run_gate(tmp_path / "1")
    assert result.passed, result.checks
    found = check(result, "forgetting llm").figures
    assert found["percent"] == pytest.approx(100 * (found["adapter"] / found["base"] - 1))
    assert check(result, "alive llm").figures["off_reference"] < 1e-4
    assert check(result, "alive vertical").verdict == "not applicable"

    # Stronger weights put in after the build, and signed: the recorded logits give them away.
    strong = adapter(tmp_path / "strong", base, 3.0)
    changed = release.model_copy(update={"files": adapters.describe(strong)})
    write(strong, changed)
    result = run_gate(strong, max_forgetting=-99.0)
    assert {check.name for check in result.failures} == {"forgetting llm", "alive llm"}
    assert "off those recorded" in check(result, "alive llm").reason

    # The same with weights that do nothing, as a server does that drops an adapter silently.
    dead = adapter(tmp_path / "dead", base, 0.0)
    write(dead, release.model_copy(update={"files": adapters.describe(dead)}))
    assert "those of the base" in check(run_gate(dead), "alive llm").reason

    write(strong, changed.model_copy(update={"probes": {}}))
    assert "records no logits" in check(run_gate(strong), "alive llm").reason
