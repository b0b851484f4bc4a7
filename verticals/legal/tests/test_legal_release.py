"""The legal adapter's release: figures and card come from one file, and a refused one does not load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from doyen_evaluation.release.in_place import withdraw
from doyen_legal import weights
from doyen_legal.release import card, measurements
from doyen_runtime import adapters
from doyen_schemas import DoyenError


def test_the_released_figures_are_those_of_the_evaluation() -> None:
    release = adapters.read_release(weights.SHIPPED)
    metrics = json.loads((weights.SHIPPED / "evaluation.json").read_text(encoding="utf-8"))
    assert release.evaluation == measurements(metrics)
    assert {"cuad.aupr", "cuad.micro_f1"} <= set(release.primary)
    for name in release.primary:
        figure = release.evaluation[name]
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high
        assert figure.n
    assert not release.evaluation["consistency.false_alarms_per_contract"].higher_is_better
    page = card(release, metrics)
    assert f"{release.name} {release.version}" in page
    assert f"{metrics['cuad_dev_cross_validated']['aupr']:.3f}" in page


def test_figures_that_were_not_measured_are_left_out() -> None:
    found = measurements({"contract_nli_pairs": {"accuracy": 0.9, "macro_f1": None, "n": 10}})
    assert set(found) == {"nli.accuracy"}
    assert found["nli.accuracy"].low is None


@pytest.mark.parametrize("first", [True, False])
def test_what_the_gate_refused_does_not_load(tmp_path: Path, first: bool) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(weights.SHIPPED, folder)
    previous = adapters.read_release(folder)
    (folder / "scorer.json").write_text("{}")
    withdraw(folder, None if first else previous)
    with pytest.raises(DoyenError) as raised:
        adapters.load(folder)
    assert raised.value.code == ("RUN-010" if first else "RUN-013")


def test_a_process_keeps_the_adapter_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from doyen_runtime.settings import get_settings

    before = weights.folder()
    (tmp_path / weights.NAME).mkdir()
    (tmp_path / weights.NAME / "current.json").write_text("{}")
    monkeypatch.setenv("DOYEN_RELEASES", str(tmp_path))
    get_settings.cache_clear()
    try:
        assert weights.folder() == before
        with pytest.raises(DoyenError, match="RUN-045"):
            weights.folder.__wrapped__()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
