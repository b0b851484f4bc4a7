"""A batch from submission to results, with real commands and workers on the embedded broker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from doyen_runtime.adapters import describe, render
from doyen_schemas import AdapterRelease

from .conftest import Site, wait

# One after the other: each test starts its own workers, and leases run out when the processor is short.
pytestmark = pytest.mark.xdist_group("queue")


def adapter(folder: Path, version: str) -> Path:
    """An adapter folder whose one file holds its version."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"version": version}))
    release = AdapterRelease(
        name="testkit", version=version, vertical="testkit", requires_runtime=">=0.1", bases={}, files=describe(folder)
    )  # fmt: skip
    (folder / "release.json").write_text(render(release))
    return folder


def test_submitting_again_does_no_work_until_the_adapter_changes(site: Site) -> None:
    site.env["DOYEN_TESTKIT_ADAPTER"] = str(adapter(site.folder / "one", "1.0.0"))
    site.write(a="ok a", b="ok b")
    first = site.json("batch", "submit", site.folder / "docs", "--vertical", "testkit", "--now")
    assert first["state"] == "finished"
    assert first["items"]["done"] == 2

    again = site.json("batch", "submit", site.folder / "docs", "--vertical", "testkit")
    assert again["state"] == "finished", "settled at submission: there is no worker"
    assert [len(site.runs(name)[0]) for name in "ab"] == [1, 1]

    other_option = site.submit("--option", "side=seller")
    site.env["DOYEN_TESTKIT_ADAPTER"] = str(adapter(site.folder / "two", "1.0.1"))
    new_adapter = site.submit()
    assert site.ledger().progress(new_adapter).counts["queued"] == 2

    site.start_worker()
    site.settled(new_adapter)
    site.done_once(new_adapter)
    assert [len(site.runs(name)[0]) for name in "ab"] == [2, 2]
    # The worker has the new adapter: it must not answer for the old one.
    rows = site.settled(other_option)
    assert {row["error_code"] for row in rows.values()} == {"RUN-035"}


def test_documents_fail_alone_and_the_results_say_why(site: Site) -> None:
    docs = site.write(
        good="ok SECRET",
        same="ok SECRET",
        error="error SECRET",
        bug="bug SECRET",
        flaky="flaky 1 SECRET",
        nan="nan SECRET",
    )
    (docs / "empty.txt").write_text("")
    (docs / "ignored.bin").write_text("ok")

    done = site.doyen("batch", "submit", docs, "--vertical", "testkit", "--now", "--json")

    assert done.returncode == 1, done.stderr
    batch = json.loads(done.stdout)["batch"]
    out = site.folder / "out"
    index = site.json("batch", "results", batch, "--out", out)
    found = {Path(row["path"]).stem: row for row in index["documents"]}
    assert {name: row["state"] for name, row in found.items()} == {
        "good": "done", "same": "done", "flaky": "done", "error": "failed", "nan": "failed", "empty": "failed",
        "bug": "quarantined",
    }  # fmt: skip
    codes = {name: row["error"].partition(":")[0] for name, row in found.items() if row["error"]}
    assert codes == {"error": "RUN-901", "nan": "RUN-036", "empty": "RUN-902", "bug": "RUN-033"}
    assert found["flaky"]["attempts"] == 2
    report = json.loads((out / found["good"]["file"]).read_text())
    assert report["findings"][0]["evidence"][0]["quote"] == "ok"
    assert (out / found["good"]["file"]).stat().st_mode & 0o077 == 0
    assert len(site.runs("good")[0]) == 1, "two files with one content are one piece of work"
    inline = site.json("batch", "results", batch)
    assert [row["report"] is not None for row in inline["documents"]] == [
        row["state"] == "done" for row in inline["documents"]
    ]

    home = site.folder / "home"
    everything_logged = "".join(path.read_text() for path in (home / "logs").iterdir())
    assert "item settled" in everything_logged
    assert "SECRET" not in everything_logged
    assert "SECRET" not in json.dumps(site.json("batch", "audit", batch))
    assert home.stat().st_mode & 0o077 == (home / "ledger.db").stat().st_mode & 0o077 == 0

    (docs / "bug.txt").write_text("changed SECRET")
    assert site.json("batch", "retry", batch)["queued_again"] == 4
    site.start_worker()
    rows = site.settled(batch)
    assert rows["bug"]["error_code"] == "RUN-030"


def test_cancelling_ends_what_runs_and_drops_the_rest(site: Site) -> None:
    site.write(a="sleep 2 a", **{f"z{n}": f"sleep 2 {n}" for n in range(20)})
    batch = site.submit()
    site.start_worker(concurrency=1)
    site.begun("a")

    cancelled = site.json("batch", "cancel", batch)["cancelled"]

    rows = site.settled(batch)
    states = [row["state"] for row in rows.values()]
    assert cancelled == states.count("cancelled") >= 1
    assert states.count("cancelled") + states.count("done") == 21
    assert rows["a"]["state"] == "done"
    assert site.json("batch", "status", batch)["state"] == "cancelled"
    assert not site.runs("z19")[0]


def test_a_file_that_changed_or_went_since_submission_is_not_read(site: Site) -> None:
    docs = site.write(changed="ok 1", gone="ok 2", kept="ok 3")
    batch = site.submit()
    (docs / "changed.txt").write_text("ok 4")
    (docs / "gone.txt").unlink()

    site.start_worker()

    rows = site.settled(batch)
    assert {name: row["error_code"] for name, row in rows.items()} == {
        "changed": "RUN-030", "gone": "RUN-031", "kept": None,
    }  # fmt: skip
    assert not site.runs("changed")[0]


def test_a_document_that_takes_too_long_is_stopped(site: Site) -> None:
    site.env |= {"DOYEN_DOCUMENT_SECONDS": "1", "DOYEN_MAX_ATTEMPTS": "1"}
    site.write(slow="sleep 600", stuck="stuck", fine="ok")
    batch = site.submit()
    site.start_worker()

    rows = site.settled(batch)

    assert {name: (row["state"], row["error_code"]) for name, row in rows.items()} == {
        "fine": ("done", None),
        "slow": ("quarantined", "RUN-032"),
        "stuck": ("quarantined", "RUN-034"),  # a loop in C: only the end of the process stops it
    }


def test_ctrl_c_stops_waiting_and_loses_nothing(site: Site) -> None:
    docs = site.write(a="sleep 3 a", b="sleep 3 b", c="ok c")
    command = [
        sys.executable,
        "-m",
        "doyen_runtime",
        "batch",
        "submit",
        str(docs),
        "--vertical",
        "testkit",
        "--now",
    ]
    process = subprocess.Popen(
        command,
        env=site.env,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    site.begun("a")

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Nothing is lost" in errors
    assert "Traceback" not in errors
    batch = site.json("batch", "list")["batches"][0]["batch"]
    site.start_worker()
    site.settled(batch)
    site.done_once(batch)


def test_a_worker_that_is_asked_to_stop_ends_its_shard_first(site: Site) -> None:
    site.write(a="sleep 2 a")
    batch = site.submit()
    worker = site.start_worker(concurrency=1)
    site.begun("a")

    worker.terminate()

    assert worker.wait(timeout=60) == 0
    site.done_once(batch)
    assert len(site.runs("a")[0]) == 1


def test_spawned_children_do_the_same_work(site: Site) -> None:
    site.env["DOYEN_START_METHOD"] = "spawn"
    site.write(a="ok a", b="ok b")
    batch = site.submit()
    site.start_worker(concurrency=1)
    site.settled(batch)
    site.done_once(batch)


def test_purging_removes_reports_and_keeps_the_audit_log(site: Site) -> None:
    site.write(a="ok a")
    batch = site.json("batch", "submit", site.folder / "docs", "--vertical", "testkit", "--now")["batch"]

    assert site.json("batch", "purge", batch) == {"purged": 1}

    gone = site.doyen("batch", "status", batch)
    assert gone.returncode == 2
    assert gone.stderr.startswith("RUN-022: ")
    actions = [entry["action"] for entry in site.json("batch", "audit", batch)["entries"]]
    assert actions == ["submit", "review", "purge"]


def test_submission_without_a_broker_is_kept_and_starts_with_the_worker(site: Site) -> None:
    pytest.importorskip("redis")
    site.write(a="ok a")
    with_broker = dict(site.env)
    site.env["DOYEN_BROKER_URL"] = "redis://:password@127.0.0.1:1/0"
    done = site.doyen("batch", "submit", site.folder / "docs", "--vertical", "testkit")
    assert done.returncode == 2
    assert done.stderr.startswith("RUN-027: ")
    assert "password" not in done.stderr
    assert len(done.stderr.splitlines()) == 1

    site.env = with_broker
    batch = site.json("batch", "list")["batches"][0]["batch"]
    site.start_worker()
    site.settled(batch)
    site.done_once(batch)


def test_an_idle_child_may_be_killed(site: Site) -> None:
    site.write(first="ok 1")
    batch = site.submit()
    worker = site.start_worker(concurrency=2)
    site.settled(batch)
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    if not children.exists():
        pytest.skip("no /proc: cannot list the children")
    for child in children.read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    site.write(second="ok 2")
    site.settled(site.submit())

    worker.terminate()
    wait(lambda: worker.poll() is not None, site.log)
