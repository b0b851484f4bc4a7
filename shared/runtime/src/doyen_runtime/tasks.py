"""The two Celery tasks: thin wrappers that carry ids. Whatever goes wrong, the ledger and its sweeper put right."""

from __future__ import annotations

import logging
from functools import cache

from celery import current_app, shared_task

from doyen_runtime import queue, worker
from doyen_runtime.batches import open_ledger
from doyen_runtime.ledger import Ledger
from doyen_runtime.settings import get_settings

logger = logging.getLogger(__name__)


@cache
def _ledger() -> Ledger:
    return open_ledger(get_settings())


@shared_task(name=queue.REVIEW_SHARD, max_retries=2, default_retry_delay=1)
def review_shard(batch_id: str, number: int) -> None:
    """Work on one shard of a batch."""
    try:
        worker.run_shard(_ledger(), batch_id, number, document_seconds=get_settings().document_seconds)
    except Exception as error:  # an exception would put its text into Celery's log
        logger.error("shard stopped", extra={"batch": batch_id, "shard": number}, exc_info=error)


@shared_task(name=queue.SWEEP)
def sweep(vertical: str) -> None:
    """Recover what dead workers left, and ring for what waits."""
    settings = get_settings()
    try:
        done = _ledger().sweep(settings.retention_days)
        rung = queue.ring_waiting(current_app, settings, _ledger(), vertical)
    except Exception as error:
        logger.error("sweep stopped", extra={"vertical": vertical}, exc_info=error)
        return
    changed = rung or done.requeued or done.quarantined
    logger.log(
        logging.INFO if changed else logging.DEBUG,
        "swept",
        extra={
            "vertical": vertical,
            "rung": rung,
            "requeued": done.requeued,
            "quarantined": done.quarantined,
            "finished": done.finished,
        },
    )
