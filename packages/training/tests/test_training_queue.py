"""Queued trainings: submitting in this process; a real worker on the embedded broker where it is marked slow."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doyen_data import Message, Record, write_records
from doyen_runtime.ledger import Ledger
from doyen_runtime.settings import Settings
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training import queue
from doyen_training.recipe import Recipe

# One after the other: workers of several tests at once would starve each other.
pytestmark = pytest.mark.xdist_group("queue")
PATIENCE = 900.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny_llama(folder / "base")
    write_records(
        folder / "train.jsonl",
        [
            Record(
                id=f"r{i}",
                messages=(
                    Message(role="user", content=f"Law {i}?"),
                    Message(role="assistant", content="NONE"),
                ),
            )
            for i in range(8)
        ],
    )
    return folder


def recipe(folder: Path, **run: Any) -> Recipe:
    settings = {"max_steps": 200, "batch_size": 2, "log_steps": 1, "save_steps": 25, "precision": "float32"}
    return Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"source": f"path:{folder / 'base'}"},
            "data": {"train": "train.jsonl", "max_length": 64},
            "method": {"kind": "lora", "rank": 2, "alpha": 4},
            "run": settings | run,
        }
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Ledger]]:
    url = f"sqlite:///{tmp_path}/home/ledger.db"
    settings = Settings(
        home=tmp_path / "home", ledger_url=url, broker_url="filesystem://", queue_prefix="doyen-test"
    )
    ledger = Ledger(url, lease_seconds=5)
    yield settings, ledger
    ledger.close()


def test_the_same_training_queued_twice_is_one_training(
    data: Path, tmp_path: Path, site: tuple[Settings, Ledger]
) -> None:
    settings, ledger = site
    first = queue.enqueue(recipe(data), data, tmp_path / "one", settings, ledger)
    assert (first["submitted"], first["state"], first["attempts"]) == (True, "queued", 0)
    assert len(list((tmp_path / "home" / "broker" / "messages").iterdir())) == 1
    canonical = (tmp_path / "one" / "recipe.json").read_bytes()
    assert Recipe.model_validate_json(canonical).digest() == recipe(data).digest()

    again = queue.enqueue(recipe(data), data, tmp_path / "two", settings, ledger)
    assert not again["submitted"]
    assert (again["batch"], again["run"]) == (first["batch"], str(tmp_path / "one"))
    assert not (tmp_path / "two").exists()
    assert len(ledger.batches()) == 1

    with pytest.raises(DoyenError, match="TRN-007: another training is queued in"):
        queue.enqueue(recipe(data, max_steps=5), data, tmp_path / "one", settings, ledger)
    assert (tmp_path / "one" / "recipe.json").read_bytes() == canonical

    other = queue.enqueue(recipe(data, max_steps=5), data, tmp_path / "two", settings, ledger)
    assert other["submitted"]
    with pytest.raises(DoyenError, match="TRN-007"):
        queue.enqueue(recipe(data, max_steps=6), data, data, settings, ledger)


def test_other_data_is_another_training(data: Path, tmp_path: Path, site: tuple[Settings, Ledger]) -> None:
    settings, ledger = site
    folder = tmp_path / "data"
    folder.mkdir()
    write_records(
        folder / "train.jsonl",
        [
            Record(
                id="x", messages=(Message(role="user", content="?"), Message(role="assistant", content="!"))
            )
        ],
    )
    first = queue.enqueue(recipe(data), data, tmp_path / "one", settings, ledger)
    second = queue.enqueue(recipe(data), folder, tmp_path / "two", settings, ledger)
    assert second["submitted"]
    assert second["batch"] != first["batch"]


def test_a_training_that_was_not_queued_has_no_status(tmp_path: Path, site: tuple[Settings, Ledger]) -> None:
    with pytest.raises(DoyenError, match="TRN-080"):
        queue.status(tmp_path, site[1])
    with pytest.raises(DoyenError, match="TRN-081"):
        queue.VERTICAL.validate_options({})


def test_the_childs_coded_error_is_final_unless_it_passes() -> None:
    final = queue._failure(
        2, "step 1\nDAT-002: train.jsonl has 1 wrong line(s). Hint: A line is … nothing else.\n"
    )
    assert isinstance(final, DoyenError)
    assert (final.code, final.hint) == ("DAT-002", "A line is … nothing else.")
    for log in ("", "Killed", "TRN-020: no space left. Hint: Free some.", "TRN-043: another process trains."):
        assert not isinstance(queue._failure(2, log), DoyenError)


def test_the_newest_figures_of_a_log_that_is_being_written(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    assert queue._newest(log) == {}
    log.write_text(
        '{"step": 3, "loss": 0.5, "grad_norm": 1.0}\n{"step": 3, "event": "skipped"}\n{"step": 4, "lo'
    )
    assert queue._newest(log) == {"step": 3, "loss": 0.5}


class Workers:
    """Real workers with a ledger and a broker of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/home/ledger.db"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("DOYEN_")} | {
            "DOYEN_CONFIG": "", "DOYEN_HOME": str(folder / "home"), "DOYEN_LEDGER_URL": self.url,
            "DOYEN_BROKER_URL": "filesystem://", "DOYEN_QUEUE_PREFIX": "doyen-test", "DOYEN_LEASE_SECONDS": "3",
            "DOYEN_SWEEP_SECONDS": "0.5", "DOYEN_RING_AGAIN_SECONDS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.started: list[subprocess.Popen[bytes]] = []

    def doyen(self, *args: str | Path) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "doyen_runtime", *map(str, args), "--json"],
            env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "doyen_runtime", "worker", "--vertical", "training", "-c", "1"],
                env=self.env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started.append(worker)
        return worker

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            log = (self.folder / "worker.log").read_text()[-3000:] if self.started else ""
            assert time.monotonic() < deadline, log
            time.sleep(0.1)

    def stop(self) -> None:
        for worker in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    found = Workers(tmp_path)
    yield found
    found.stop()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_training_outlives_its_workers(data: Path, tmp_path: Path, workers: Workers) -> None:
    """The first worker is told to stop, the second is killed, the third ends what they began, bit for bit."""
    from doyen_training.run import train

    out = tmp_path / "run"
    file = tmp_path / "recipe.json"
    file.write_bytes(recipe(data).canonical())
    queued = workers.doyen("train", file, "--data", data, "--out", out, "--queue")
    assert queued["submitted"]
    ledger = Ledger(workers.url)

    def steps() -> int:
        return int((queue.status(out, ledger)["progress"] or {}).get("step", 0))

    first = workers.start()
    workers.wait(lambda: steps() > 0)
    first.terminate()
    assert first.wait(PATIENCE) == 0
    stopped = queue.status(out, ledger)
    assert (stopped["state"], stopped["attempts"]) == ("queued", 0), "no attempt is used up"
    assert json.loads((out / "run.json").read_text())["state"] == "stopped"
    before = steps()

    second = workers.start()
    workers.wait(lambda: steps() > before)
    os.killpg(second.pid, signal.SIGKILL)
    second.wait()

    workers.start()
    workers.wait(lambda: queue.status(out, ledger)["state"] == "done")
    done = workers.doyen("train", "--status", out)
    assert done["result"]["state"] == "finished"
    assert done["result"]["steps"] == 200
    assert done["attempts"] == 2, "the killed worker's attempt and the last one"
    assert not workers.doyen("train", file, "--data", data, "--out", tmp_path / "again", "--queue")[
        "submitted"
    ]
    ledger.close()

    train(recipe(data), data, tmp_path / "whole")
    weights = "adapter/adapter_model.safetensors"
    assert (out / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
