"""The embedded broker: messages are files below ``DOYEN_HOME``.

kombu's filesystem transport, with its hazards removed: a reader could see a message before it was written to the
end, messages passed through the shared temporary folder, and workers ran without an event loop. Losing a message is harmless (the ledger's
sweeper rings again), a half-read one would stop the worker.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem

SCHEME = "doyen-files"


class Channel(filesystem.Channel):
    """A channel whose messages appear whole and are taken once."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        # Names sort by time; what follows the first dot is the queue, as the parent class expects.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        partial = folder / f"{name}.{queue}.tmp"
        with open(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as stream:
            json.dump(payload, stream)
        partial.rename(folder / f"{name}.{queue}.msg")

    def _get(self, queue: str, timeout: Any = None) -> Any:  # noqa: ARG002
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                payload = (folder / name).read_bytes()
                (folder / name).unlink()  # whoever removes it has it
            except FileNotFoundError:
                continue
            return json.loads(payload)
        raise Empty


class Transport(filesystem.Transport):
    """kombu's filesystem transport over :class:`Channel`, for the worker's event loop.

    Without an event loop all children of a worker read from one pipe under one lock. A child that is killed
    while it holds the lock stops the others, and the worker never ends.
    """

    Channel = Channel
    implements = filesystem.Transport.implements.extend(asynchronous=True)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:  # noqa: ARG002
        """Deliver what has come, at every interval."""

        def poll() -> None:
            with suppress(Empty):
                while self.cycle is not None:
                    self.cycle.get(self._deliver)  # type: ignore[no-untyped-call]

        loop.call_repeatedly(self.polling_interval, poll)


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def transport_options(folder: Path) -> dict[str, Any]:
    """Make the broker's private folders and return kombu's options for them."""
    messages, control = folder / "messages", folder / "control"
    for path in (folder, messages, control):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(control),
        "polling_interval": 0.1,
    }
