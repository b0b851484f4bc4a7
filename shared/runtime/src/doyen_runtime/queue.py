"""The Celery app and the bell: messages that say which shard has work, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import ChannelError, OperationalError

from doyen_runtime import broker
from doyen_runtime.ledger import Ledger
from doyen_runtime.settings import Settings
from doyen_schemas import DoyenError

REVIEW_SHARD = "doyen.review_shard"
SWEEP = "doyen.sweep"


def queue_name(settings: Settings, vertical: str) -> str:
    """The queue of a vertical's shards."""
    return f"{settings.queue_prefix}.{vertical}"


def sweep_queue_name(settings: Settings, vertical: str) -> str:
    """The queue of a vertical's sweeps, apart from the shards so that no backlog delays them."""
    return f"{settings.queue_prefix}.{vertical}.sweep"


def create_app(settings: Settings, verticals: Sequence[str]) -> Celery:
    """A Celery app with the queues of ``verticals`` on the broker that ``settings`` name."""
    embedded = settings.embedded_broker
    names = [f(settings, v) for v in verticals for f in (queue_name, sweep_queue_name)]
    app = Celery(
        "doyen",
        broker=f"{broker.SCHEME}://localhost" if embedded else settings.broker_url,
        set_as_current=False,
    )
    app.conf.update(
        include=["doyen_runtime.tasks"],
        task_queues=[_queue(name) for name in names],
        task_default_exchange="",
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        # The ledger keeps results and progress.
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        # Requeueing on a lost worker runs a deadly document for ever; a bounded retry takes up the rest of the
        # shard, and the ledger decides about the document itself.
        task_reject_on_worker_lost=False,
        task_retry_on_worker_lost=True,
        worker_pool_start_method=settings.start_method,
        worker_max_memory_per_child=settings.max_memory_mb and settings.max_memory_mb * 1024,
        worker_proc_alive_timeout=180,
        worker_timer_precision=0.5,
        worker_soft_shutdown_timeout=60,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # No remote control and no events: nothing about the work leaves the ledger.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_send_sent_event=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(settings),
    )
    return app


def _queue(name: str) -> Queue:
    # The default exchange routes by queue name: no bindings to keep in step.
    return Queue(name, Exchange(""), routing_key=name)  # type: ignore[no-untyped-call]


def _transport_options(settings: Settings) -> dict[str, Any]:
    if settings.embedded_broker:
        return broker.transport_options(settings.home / "broker")
    if settings.broker_url.startswith(("redis://", "rediss://")):
        # A shorter time would deliver long shards twice: harmless, but noise.
        return {"visibility_timeout": 86400, "socket_connect_timeout": 5}
    return {}


def ring(
    app: Celery, settings: Settings, ledger: Ledger, vertical: str, shards: Sequence[tuple[str, int]]
) -> None:
    """Send one message for each ``(batch, shard)``, in order, and record it.

    Raises:
        DoyenError: RUN-027 the broker cannot be reached. The work is in the ledger: a sweep rings again.
    """
    if not shards:
        return
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=10)
            for batch_id, number in shards:
                app.send_task(
                    REVIEW_SHARD,
                    args=(batch_id, number),
                    queue=queue_name(settings, vertical),
                    connection=connection,
                    ignore_result=True,
                )
    except (OperationalError, OSError) as error:
        raise DoyenError(
            "RUN-027",
            f"the broker {app.connection().as_uri()} cannot be reached ({type(error).__name__})",
            "Check DOYEN_BROKER_URL and that the broker runs. What was submitted is safe in the ledger and"
            " starts when a worker does.",
        ) from error
    ledger.rung(shards)


def ring_waiting(app: Celery, settings: Settings, ledger: Ledger, vertical: str) -> int:
    """Ring for work that waits without a message; the number of messages sent.

    A shard whose message was sent long ago either waits its turn in the queue or was lost with a worker. It was
    lost if the queue is empty: only then are such shards rung again, so that messages never pile up.
    """
    waiting = ledger.waiting(vertical, ring_again_seconds=settings.ring_again_seconds)
    shards = list(waiting.unrung)
    if waiting.stale and depth(app, queue_name(settings, vertical)) == 0:
        shards += waiting.stale
    ring(app, settings, ledger, vertical, shards)
    return len(shards)


def depth(app: Celery, name: str) -> int:
    """The number of messages waiting in a queue; 0 where the broker has no such queue (yet)."""
    with app.connection_for_write() as connection:
        try:
            return int(connection.default_channel.queue_declare(queue=name, passive=True).message_count)
        except (ChannelError, *connection.channel_errors):
            return 0
