"""``doyen worker``: one process tree that works on one vertical's batches."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from doyen_runtime import verticals
from doyen_runtime.batches import open_ledger
from doyen_runtime.settings import Settings, get_settings
from doyen_schemas import DoyenError


def worker(
    vertical: Annotated[
        str | None,
        typer.Option(
            "--vertical", help="The vertical to work for; may be left out if only one is installed."
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", "-c", min=1, max=256, help="Documents at a time; default: the CPUs."),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End with the parent process.")
    ] = False,
) -> None:
    """Work on the submitted batches of one vertical until stopped (Ctrl-C or SIGTERM ends after the shard)."""
    from doyen_runtime.logging import configure

    settings = get_settings()
    chosen = verticals.load(vertical or _only())
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = concurrency or settings.concurrency or cpus
    # Every process computes on its share of the CPUs; set before anything that reads it is imported.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpus // processes)))
    # Find out here, not in every child, that the ledger cannot be opened. No connection survives the fork.
    open_ledger(settings).close()
    configure(settings)
    if with_parent:
        from celery.platforms import set_pdeathsig

        set_pdeathsig("SIGTERM")
    raise typer.Exit(_run(settings, chosen.name, processes))


def _only() -> str:
    names = list(verticals.installed())
    if len(names) != 1:
        raise DoyenError(
            "RUN-002",
            f"which vertical? {len(names)} are installed ({', '.join(names) or 'none'})",
            "Name one with --vertical.",
        )
    return names[0]


def _run(settings: Settings, vertical: str, processes: int) -> int:
    from celery import bootsteps, signals

    from doyen_runtime import queue
    from doyen_runtime.logging import configure

    app = queue.create_app(settings, [vertical])
    sweeps = queue.sweep_queue_name(settings, vertical)

    def send_sweep() -> None:
        # Sweeps that nobody had time for go away, but not so soon that a busy machine drops them all.
        expires = max(60.0, settings.sweep_seconds)
        app.send_task(queue.SWEEP, args=(vertical,), queue=sweeps, expires=expires, ignore_result=True)

    class Sweeper(bootsteps.StartStopStep):
        """Ask for a sweep at the start and at intervals. The children do it: the parent never opens the ledger."""

        requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

        def start(self, parent: Any) -> None:
            send_sweep()
            self.entry = parent.timer.call_repeatedly(settings.sweep_seconds, send_sweep)

        def stop(self, parent: Any) -> None:  # noqa: ARG002
            self.entry.cancel()

    @signals.setup_logging.connect(weak=False)
    def keep_logging(**_: Any) -> None:
        configure(settings)

    app.steps["worker"].add(Sweeper)
    process = app.Worker(
        hostname=f"{vertical}-{os.getpid()}@%h",
        queues=[queue.queue_name(settings, vertical), sweeps],
        pool_cls="prefork",
        concurrency=processes,
        loglevel=settings.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    process.start()
    return process.exitcode or 0
