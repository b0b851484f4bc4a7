"""An installation of Doyen in a temporary folder: real commands, real workers, a broker and a ledger of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from doyen_runtime.ledger import Ledger

PATIENCE = 120.0


@dataclass
class Site:
    """One installation: its environment, its documents and the workers that were started in it."""

    folder: Path
    env: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write(self, **texts: str) -> Path:
        """Documents by name, in the folder ``docs``."""
        docs = self.folder / "docs"
        docs.mkdir(exist_ok=True)
        for name, text in texts.items():
            (docs / f"{name}.txt").write_text(text)
        return docs

    def doyen(self, *args: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "doyen_runtime", *map(str, args)],
            env=self.env, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def json(self, *args: str | Path) -> dict[str, Any]:
        """Run the command, which must succeed, and parse its one object."""
        done = self.doyen(*args, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def submit(self, *options: str) -> str:
        """Submit the documents; the batch's id."""
        return str(
            self.json("batch", "submit", self.folder / "docs", "--vertical", "testkit", *options)["batch"]
        )

    def start_worker(self, concurrency: int = 2) -> subprocess.Popen[bytes]:
        """A real worker; its log is ``worker.log``."""
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "doyen_runtime", "worker", "--vertical", "testkit", "-c", str(concurrency)],
                env=self.env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def ledger(self) -> Ledger:
        """The ledger, looked at from outside."""
        return Ledger(self.env["DOYEN_LEDGER_URL"])

    def settled(self, batch: str) -> dict[str, dict[str, Any]]:
        """Wait until nothing of the batch is queued or running; its documents by name."""
        ledger = self.ledger()
        try:
            wait(
                lambda: ledger.progress(batch).settled == ledger.progress(batch).total,
                lambda: self.state(batch),
            )
            return {Path(row["path"]).stem: row for row in ledger.documents(batch)}
        finally:
            ledger.close()

    def state(self, batch: str) -> str:
        """What is not settled, what waits for a message, and the log: for a test that waits in vain."""
        ledger = self.ledger()
        rows = [row for row in ledger.documents(batch) if row["state"] in ("queued", "running")]
        return f"{self.log()}\n{rows}\n{ledger.waiting(ring_again_seconds=-1)}"

    def runs(self, name: str) -> tuple[list[int], list[int]]:
        """The processes that began, and those that ended, the review of a document."""
        digest = hashlib.sha256((self.folder / "docs" / f"{name}.txt").read_bytes()).hexdigest()
        log = Path(self.env["DOYEN_TESTKIT_RUNS"])
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        begun = [int(pid) for event, sha256, pid in lines if event == "begin" and sha256 == digest]
        ended = [int(pid) for event, sha256, pid in lines if event == "end" and sha256 == digest]
        return begun, ended

    def begun(self, name: str) -> int:
        """Wait until the review of a document has begun; the process that does it."""
        wait(lambda: bool(self.runs(name)[0]), self.log)
        return self.runs(name)[0][-1]

    def log(self) -> str:
        """What the workers have logged."""
        file = self.folder / "worker.log"
        return file.read_text() if file.exists() else ""

    def done_once(self, batch: str) -> None:
        """Every document of the batch is done, was reported once, and says so in the audit log once."""
        ledger = self.ledger()
        rows = list(ledger.documents(batch))
        assert {row["state"] for row in rows} == {"done"}, rows
        settled = [
            entry["document_sha256"] for entry in ledger.audit_log(batch) if entry["decision"] == "done"
        ]
        assert sorted(settled) == sorted({row["document_sha256"] for row in rows})
        for row in rows:
            report = ledger.report(row["key"])
            assert report is not None
            assert report["document"]["sha256"] == row["document_sha256"]
        assert ledger.progress(batch).state == "finished"
        ledger.close()

    def stop(self) -> None:
        """End every worker and its children at once."""
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def wait(condition: Callable[[], bool], log: Callable[[], str] = str) -> None:
    """Wait for a condition, or fail with the log."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain\n{log()[-4000:]}"
        time.sleep(0.05)


def kill(process: int) -> None:
    """``kill -9``."""
    os.kill(process, signal.SIGKILL)


def _reachable(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def _need(port: int, name: str) -> None:
    if not _reachable(port):
        pytest.skip(f"{name} does not answer on 127.0.0.1:{port}")


@contextlib.contextmanager
def _files(folder: Path, _prefix: str) -> Iterator[dict[str, str]]:
    yield {"DOYEN_BROKER_URL": "filesystem://", "DOYEN_LEDGER_URL": f"sqlite:///{folder}/home/ledger.db"}


@contextlib.contextmanager
def _postgres(prefix: str) -> Iterator[str]:
    _need(5432, "PostgreSQL")
    import psycopg

    schema = prefix.replace("-", "_")
    with psycopg.connect("host=127.0.0.1 user=postgres dbname=test", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1/test?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@contextlib.contextmanager
def _redis(_folder: Path, prefix: str) -> Iterator[dict[str, str]]:
    _need(6379, "Redis")
    import redis

    for number in range(15, 7, -1):
        database = redis.Redis(host="127.0.0.1", db=number)
        if database.dbsize() == 0:
            break
    else:
        pytest.skip("Redis has no empty database among 8 to 15")
    with _postgres(prefix) as ledger:
        try:
            yield {"DOYEN_BROKER_URL": f"redis://127.0.0.1:6379/{number}", "DOYEN_LEDGER_URL": ledger}
        finally:
            database.flushdb()
            database.close()


@contextlib.contextmanager
def _rabbitmq(_folder: Path, prefix: str) -> Iterator[dict[str, str]]:
    _need(5672, "RabbitMQ")
    from amqp import Connection

    with _postgres(prefix) as ledger:
        try:
            yield {"DOYEN_BROKER_URL": "amqp://guest:guest@127.0.0.1:5672//", "DOYEN_LEDGER_URL": ledger}
        finally:
            with Connection("127.0.0.1:5672") as connection:
                channel = connection.channel()
                for queue in ("testkit", "testkit.sweep"):
                    channel.queue_delete(f"{prefix}.{queue}")


BROKERS = {"files": _files, "redis": _redis, "rabbitmq": _rabbitmq}


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An installation with short leases; parametrise indirectly with a name of ``BROKERS`` (default ``files``)."""
    prefix = f"doyen-test-{uuid.uuid4().hex[:8]}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("DOYEN_")}
    env |= {
        "DOYEN_CONFIG": "",
        "DOYEN_HOME": str(tmp_path / "home"),
        "DOYEN_QUEUE_PREFIX": prefix,
        "DOYEN_LEASE_SECONDS": "3",
        "DOYEN_SWEEP_SECONDS": "0.4",
        "DOYEN_RING_AGAIN_SECONDS": "1",
        "DOYEN_MAX_ATTEMPTS": "2",
        "DOYEN_LOG_LEVEL": "DEBUG",
        "DOYEN_TESTKIT_RUNS": str(tmp_path / "runs"),
        "OMP_NUM_THREADS": "1",
    }
    with BROKERS[getattr(request, "param", "files")](tmp_path, prefix) as urls:
        site = Site(tmp_path, env | urls)
        try:
            yield site
        finally:
            site.stop()
