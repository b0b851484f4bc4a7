from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from doyen_modeling.moe.cli import app
from doyen_modeling.moe.scores import ExpertScores
from doyen_modeling.moe.select import load_selection, save_selection, select_experts
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

# Made up: layer 2 meets the threshold exactly, layer 10 has equal scores, layer 3 falls short of it in gate scores.
SCORES = {
    "token_scores": {
        "2": {"0": 0.05, "1": 0.15, "2": 0.05, "3": 0.75},
        "10": {"0": 0.25, "1": 0.25, "2": 0.25, "3": 0.25},
        "3": {"0": 0.01, "1": 0.19, "2": 0.3, "3": 0.5},
    },
    "gate_scores": {
        "2": {"0": 0.1, "1": 0.05, "2": 0.1, "3": 0.05},
        "10": {"0": 0.0, "1": 0.1, "2": 0.2, "3": 0.1},
        "3": {"0": 0.04, "1": 0.02, "2": 0.03, "3": 0.01},
    },
}
GOLDEN = {
    ("token", "0.2"): {"2": [3], "3": [3], "10": [0]},
    ("token", "0.9"): {"2": [3, 1], "3": [3, 2, 1], "10": [0, 1, 2, 3]},
    ("gate", "0.2"): {"2": [0, 2], "3": [0, 2, 1, 3], "10": [2]},
}


def select(file: Path, kind: str, threshold: str, *more: str) -> dict[str, object]:
    args = ["select", "--scores", str(file), "--kind", kind, "--threshold", threshold, "--json", *more]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


@pytest.mark.parametrize(("kind", "threshold"), GOLDEN)
def test_the_golden_selection(tmp_path: Path, kind: str, threshold: str) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    assert select(tmp_path / "scores.json", kind, threshold) == {"experts": GOLDEN[kind, threshold]}


@pytest.mark.data
@pytest.mark.parametrize("task", ["intent", "law"])
def test_the_published_configurations_come_out_exactly(task: str) -> None:
    folder = get_settings().data / "core" / "esft" / task
    if not folder.is_dir():
        pytest.skip(f"no data in {folder} (set DOYEN_DATA)")
    published = json.loads((folder / "expert_config.json").read_text())["experts"]
    assert len(published) == 26
    assert select(folder / "scores.json", "token", "0.2") == {"experts": published}


def test_a_selection_is_written_as_an_expert_configuration(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    select(tmp_path / "scores.json", "token", "0.9", "--out", str(tmp_path / "experts.json"))
    content = json.loads((tmp_path / "experts.json").read_text())
    assert (content["shared_experts"], content["non_expert_modules"]) == (False, False)
    selection = load_selection(tmp_path / "experts.json")
    assert selection == {2: (3, 1), 3: (3, 2, 1), 10: (0, 1, 2, 3)}
    save_selection(selection, tmp_path / "again.json", shared_experts=True)
    assert load_selection(tmp_path / "again.json") == selection


def test_people_get_a_table(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    printed = CliRunner().invoke(app, ["select", "--scores", str(tmp_path / "scores.json")]).stdout
    assert "best first" in printed


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(0, 1, exclude_min=True),
)
def test_a_selection_is_the_shortest_that_reaches_the_threshold(row: list[float], threshold: float) -> None:
    scores = ExpertScores({0: dict(enumerate(row))}, {})
    (chosen,) = select_experts(scores, "token", threshold).values()
    taken = [row[expert] for expert in chosen]
    assert len(set(chosen)) == len(chosen)
    assert taken == sorted(row, reverse=True)[: len(taken)]
    assert sum(taken[:-1]) < threshold
    assert sum(taken) >= threshold or len(chosen) == len(row)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.5, math.nan])
def test_a_threshold_outside_its_range_is_an_error(threshold: float) -> None:
    with pytest.raises(DoyenError, match="MOD-053"):
        select_experts(ExpertScores({0: {0: 1.0}}, {}), "token", threshold)


def test_missing_scores_of_a_kind_are_an_error() -> None:
    with pytest.raises(DoyenError, match="MOD-052"):
        select_experts(ExpertScores({0: {0: 1.0}}, {}), "gate", 0.2)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"experts": [1]}', '{"experts": {"a": [1]}}', '{"experts": {"1": 2}}']
)
def test_a_broken_selection_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "experts.json").write_text(content)
    with pytest.raises(DoyenError, match="MOD-054"):
        load_selection(tmp_path / "experts.json")
    with pytest.raises(DoyenError, match="MOD-051"):
        load_selection(tmp_path / "nowhere.json")
