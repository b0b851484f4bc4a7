from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_schemas import DoyenError
from doyen_training.report.chart import Line, heat_map, line_chart, log_ticks, short, smooth, ticks_of
from doyen_training.report.page import write_report
from doyen_training.report.read import read_run


def run_folder(folder: Path, rank: int = 8, steps: int = 900, **record: object) -> Path:
    folder.mkdir()
    recipe = {
        "name": "reviewer",
        "method": {"kind": "lora", "rank": rank},
        "loss": [{"kind": "cross-entropy"}],
    }
    base = {"source": "path:base"}
    content = {
        "name": "reviewer",
        "recipe": recipe,
        "recipe_sha256": "ab" * 32,
        "base": base,
        "state": "finished",
    }
    (folder / "run.json").write_text(json.dumps(content | {"steps": steps, "learned_share": 0.2} | record))
    events: list[dict[str, object]] = [
        {
            "time": 1.0, "step": s, "steps": steps, "loss": 3.0 / s + 0.1, "grad_norm": 1000.0 / s**2,
            "learning_rate": 1e-4 * (1 - s / steps), "tokens_per_s": 50.0, "peak_rss_mb": 900 + s,
            "router/load/3/0": 0.25, "router/load/3/1": 0.75, "cross_entropy/loss": 2.0 / s,
        }
        for s in range(1, steps + 1)
    ]  # fmt: skip
    events += [{"time": 2.0, "step": steps, "eval_loss": 0.4}, {"time": 2.0, "step": 7, "event": "skipped"}]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    stretches = [["<script>alert(1)</script> Which law?", False], ["NEW & YORK", True]]
    (folder / "samples.json").write_text(json.dumps({"samples": [{"id": "r<1>", "stretches": stretches}]}))
    return folder


def test_one_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    folders = [run_folder(tmp_path / "a"), run_folder(tmp_path / "b", rank=16, state="stopped")]
    write_report(folders, tmp_path / "out" / "report.html")
    page = (tmp_path / "out" / "report.html").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]

    assert not re.search(r"(?:src|href)\s*=|@import|url\(|https?://", page), "nothing is fetched"
    assert "<script" not in page, "the text of a record is not markup"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Which law?<mark>NEW &amp; YORK</mark>" in page
    assert "reviewer (a)" in page
    assert "reviewer (b)" in page, "runs of one recipe are told apart by their folders"
    for title in (
        "Loss",
        "Learning rate",
        "Gradient norm",
        "Peak memory",
        "Expert load",
        "cross_entropy/loss",
    ):
        assert title in page
    assert "<td><b>8</b></td><td><b>16</b></td>" in page, "settings that differ stand out"
    assert "<td><b>lora</b></td>" not in page
    assert "skipped" in page
    assert "layer 3, expert 1: 75.00% of the choices" in page
    assert len(page) < 250_000, "long runs are averaged"
    charts = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(charts) >= 8
    for chart in charts:
        ElementTree.fromstring(chart.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_a_run_under_way_is_readable(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "a", steps=3, state="running")
    with (folder / "events.jsonl").open("a") as stream:
        stream.write('{"time": 3.0, "step": 4, "lo')
    (folder / "samples.json").unlink()
    run = read_run(folder)
    assert run.last("loss") == pytest.approx(1.1)
    assert run.samples == ()
    assert run.expert_load() == {3: {0: 0.25, 1: 0.75}}
    write_report([folder], tmp_path / "report.html")
    assert "no samples" in (tmp_path / "report.html").read_text()


def test_a_resumed_runs_repeated_steps_count_once(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "a", steps=2)
    with (folder / "events.jsonl").open("a") as stream:
        stream.write('{"time": 3.0, "step": 2, "loss": 9.0}\n')
    assert read_run(folder).series["loss"] == {1: 3.1, 2: 9.0}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="TRN-085"):
        write_report([tmp_path], tmp_path / "report.html")
    folder = run_folder(tmp_path / "a", steps=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(DoyenError, match="TRN-086"):
        write_report([folder], tmp_path / "file" / "report.html")


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_are_round_and_enclose(low: float, span: float) -> None:
    high = low + span
    ticks = ticks_of(low, high)
    assert 2 <= len(ticks) <= 9
    unseen = 1e-8 * span + 1e-6  # less than a pixel on any screen
    assert ticks[0] <= low + unseen + 1e-6 * abs(low)
    assert ticks[-1] >= high - unseen - 1e-6 * abs(high)
    assert ticks == sorted(set(ticks))


def test_scales_and_numbers() -> None:
    assert log_ticks(0.02, 30.0) == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert [short(v) for v in (0.0002, 0.5, 12.0, 12_000.0, 0.0)] == ["2e-4", "0.5", "12", "12,000", "0"]
    assert smooth({1: 2.0, 2: 2.0}) == pytest.approx({1: 2.0, 2: 2.0})
    assert "logarithmic" in line_chart("t", "u", [Line("a", {1: 0.001, 2: 5.0}, "#000")])
    assert line_chart("t", "u", [Line("a", {}, "#000")]) == ""
    flat = line_chart("t", "u", [Line("a", {5: 1.0}, "#000"), Line("b", {5: math.nan}, "#000")])
    assert "nan" not in flat
    assert heat_map("t", {}).endswith("</svg>")
