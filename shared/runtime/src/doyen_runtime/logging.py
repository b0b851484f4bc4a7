"""Log lines of the entry points: readable, or JSON. Libraries log through the standard ``logging`` alone.

Only Doyen's own loggers and the queue's are written. Parsers quote what they read in their warnings, and
documents must not reach a log.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

from doyen_runtime.failures import describe
from doyen_runtime.settings import Settings

_QUEUE = frozenset({"celery", "kombu", "amqp", "redis", "billiard"})


def configure(settings: Settings) -> None:
    """Send log lines to stderr as ``settings`` say: ``log_level``, and ``log_json`` for one JSON object a line."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_messages_of_exceptions,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.addFilter(_ours)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    # At INFO Celery repeats what the ledger says better.
    logging.getLogger("celery").setLevel(
        max(logging.getLevelNamesMapping()[settings.log_level], logging.WARNING)
    )


def _ours(record: logging.LogRecord) -> bool:
    top = record.name.partition(".")[0]
    return top.startswith("doyen") or top in _QUEUE


def _without_messages_of_exceptions(_logger: Any, _name: str, event: Any) -> Any:
    error = event.pop("exc_info", None)
    if error and not os.environ.get("DOYEN_DEBUG"):
        if error is True:
            error = sys.exc_info()
        cause = error[1] if isinstance(error, tuple) else error
        if isinstance(cause, BaseException):
            event["error"] = describe(cause)
    elif error:
        event["exc_info"] = error
        event = structlog.processors.format_exc_info(_logger, _name, event)
    return event
