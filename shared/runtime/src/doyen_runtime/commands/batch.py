"""``doyen batch``: the operator's side of the queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_runtime import batches, verticals
from doyen_runtime.commands.output import print_json, print_table
from doyen_runtime.ledger import Ledger, Progress
from doyen_runtime.settings import Settings, get_settings
from doyen_schemas import DoyenError

app = typer.Typer(no_args_is_help=True, help="Review many documents: submit, follow, fetch, retry, cancel.")

Batch = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id, as submit printed it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", "-c", min=1, max=256, help="With --now: documents at a time.")
]


@app.command()
def submit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, and folders to search for documents.")
    ],
    vertical: Annotated[str, typer.Option("--vertical", help="The vertical that reviews them.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the vertical; repeatable."),
    ] = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="Start a worker for this batch, show the progress and wait for the end."),
    ] = False,
    concurrency: Concurrency = None,
    json: Json = False,
) -> None:
    """Submit documents as one batch. Work that was done before is not done again."""
    settings = get_settings()
    chosen = verticals.load(vertical)
    ledger = batches.open_ledger(settings)
    batch_id = batches.submit(settings, ledger, chosen, paths, parse_options(option or []))
    if now:
        work_now(settings, ledger, batch_id, concurrency)
    _show(ledger, batch_id, json)
    if now and _troubled(ledger.progress(batch_id)):
        raise typer.Exit(1)


@app.command()
def status(
    batch: Batch,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the progress until the batch is settled.")
    ] = False,
    json: Json = False,
) -> None:
    """Show how far a batch is, and what went wrong."""
    ledger = batches.open_ledger(get_settings())
    if watch:
        follow(ledger, batch)
    _show(ledger, batch, json)


@app.command()
def results(
    batch: Batch,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write one JSON file a document, and index.json, here.")
    ] = None,
    json: Json = False,
) -> None:
    """Fetch the reports that are done."""
    ledger = batches.open_ledger(get_settings())
    if out is None:
        if not json:
            raise DoyenError(
                "RUN-006", "doyen batch results: no place for the reports", "Give --out DIR, or --json."
            )
        print_json(batches.results(ledger, batch))
        return
    index = batches.write_results(ledger, batch, out)
    if json:
        print_json(index)
    else:
        written = sum(row["file"] is not None for row in index["documents"])
        typer.echo(f"{written} of {index['documents_total']} reports in {out}")


@app.command()
def retry(batch: Batch, json: Json = False) -> None:
    """Queue the failed and quarantined documents of a batch again."""
    settings = get_settings()
    ledger = batches.open_ledger(settings)
    count = ledger.retry(batch)
    batches.ring_batch(settings, ledger, batch)
    _count(batch, "queued again", count, json)


@app.command()
def cancel(batch: Batch, json: Json = False) -> None:
    """Cancel what has not begun; documents in work are finished and kept."""
    _count(batch, "cancelled", batches.open_ledger(get_settings()).cancel(batch), json)


@app.command(name="list")
def list_(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    json: Json = False,
) -> None:
    """List the batches, newest first."""
    found = batches.open_ledger(get_settings()).batches(limit)
    if json:
        print_json(
            {
                "batches": [
                    {
                        "batch": p.batch_id, "vertical": p.vertical, "state": p.state,
                        "created": _when(p.created), "documents": p.documents, "items": p.counts,
                    }
                    for p in found
                ]
            }
        )  # fmt: skip
        return
    print_table(
        ("batch", "vertical", "state", "documents", "settled", "created"),
        [
            (p.batch_id, p.vertical, p.state, p.documents, f"{p.settled}/{p.total}", _when(p.created))
            for p in found
        ],
    )


@app.command()
def purge(
    batch: Annotated[str | None, typer.Argument(metavar="[BATCH]", help="A settled batch.")] = None,
    older_than: Annotated[
        float | None, typer.Option("--older-than", min=0, metavar="DAYS", help="All settled before.")
    ] = None,
    json: Json = False,
) -> None:
    """Delete settled batches with their reports; the audit log, which holds no content, stays."""
    if (batch is None) == (older_than is None):
        raise DoyenError("RUN-006", "doyen batch purge: name a BATCH or --older-than DAYS", "One of the two.")
    count = batches.open_ledger(get_settings()).purge(batch_id=batch, older_than_days=older_than)
    if json:
        print_json({"purged": count})
    else:
        typer.echo(f"{count} batch(es) purged")


@app.command()
def audit(
    batch: Annotated[str | None, typer.Argument(metavar="[BATCH]", help="One batch; default: all.")] = None,
    json: Json = False,
) -> None:
    """Show the append-only log: who did what to which document, with which versions."""
    entries = batches.open_ledger(get_settings()).audit_log(batch)
    for entry in entries:
        entry["time"] = _when(entry["time"])
    if json:
        print_json({"entries": entries})
        return
    columns = ("time", "actor", "action", "batch_id", "document_sha256", "decision")
    print_table(columns, [[str(entry[name] or "")[:25] for name in columns] for entry in entries])


def parse_options(pairs: list[str]) -> dict[str, str]:
    """``key=value`` strings as a mapping. Raises RUN-008."""
    wrong = [pair for pair in pairs if not pair.partition("=")[0].strip() or "=" not in pair]
    if wrong:
        raise DoyenError(
            "RUN-008", f"--option {', '.join(map(repr, wrong))} is not KEY=VALUE", "Write --option key=value."
        )
    keys = [pair.partition("=")[0].strip() for pair in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise DoyenError(
            "RUN-008", f"--option {', '.join(twice)} is given more than once", "Give each option once."
        )
    return {key: pair.partition("=")[2] for key, pair in zip(keys, pairs, strict=True)}


def work_now(settings: Settings, ledger: Ledger, batch_id: str, concurrency: int | None = None) -> None:
    """Run a worker of our own until the batch is settled, showing the progress.

    Raises:
        DoyenError: RUN-029 the worker stopped before the batch was settled; nothing is lost.
    """
    progress = ledger.progress(batch_id)
    if progress.state != "open":
        return
    log = settings.home / "logs" / f"{batch_id}.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "doyen_runtime",
        "worker",
        "--vertical",
        progress.vertical,
        "--with-parent",
    ]
    if concurrency is not None:
        command += ["--concurrency", str(concurrency)]
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as stream:
        # A session of its own: Ctrl-C in the terminal is ours to handle.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        follow(ledger, batch_id, process)
    except KeyboardInterrupt:
        typer.echo(
            f"Stopped. Nothing is lost: doyen worker --vertical {progress.vertical} goes on with {batch_id}.",
            err=True,
        )
        raise
    finally:
        _stop(process)
    if ledger.progress(batch_id).state == "open":
        raise DoyenError(
            "RUN-029",
            f"the worker stopped with status {process.returncode} before the batch {batch_id} was settled",
            f"{log} says why; doyen worker --vertical {progress.vertical} goes on where it stopped.",
        )


def follow(ledger: Ledger, batch_id: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Show a progress bar on stderr until the batch is settled, or until ``process`` ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(batch_id, total=None)
        while True:
            progress = ledger.progress(batch_id)
            wrong = progress.counts["failed"] + progress.counts["quarantined"]
            label = f"{batch_id}, {wrong} failed" if wrong else batch_id
            bar.update(task, total=progress.total, completed=progress.settled, description=label)
            if progress.settled == progress.total or (process is not None and process.poll() is not None):
                return
            time.sleep(0.25)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _troubled(progress: Progress) -> bool:
    return progress.counts["done"] < progress.total


def _show(ledger: Ledger, batch_id: str, json: bool) -> None:
    found = batches.summary(ledger, batch_id)
    if json:
        print_json(found)
        return
    counts = ", ".join(f"{count} {state}" for state, count in found["items"].items() if count)
    typer.echo(f"{batch_id}  {found['state']}  {found['documents_total']} documents: {counts}")
    for row in found["problems"]:
        typer.echo(f"  {row['path']}: {row['state']} after {row['attempts']} attempt(s): {row['error']}")


def _count(batch_id: str, what: str, count: int, json: bool) -> None:
    if json:
        print_json({"batch": batch_id, what.replace(" ", "_"): count})
    else:
        typer.echo(f"{batch_id}: {count} {what}")


def _when(seconds: Any) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="seconds")
