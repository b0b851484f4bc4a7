"""The job ledger: the truth about every document of every batch. Celery only rings the bell.

An item is claimed under a lease. Whoever holds the lease works; a holder that dies lets it run out, and the
sweeper gives the item to another, or puts it in quarantine when its attempts are used up. Messages may be lost
or doubled at will: they carry no state.

States: ``queued → running → done | failed | quarantined``, and ``cancelled``. ``failed`` is the document's fault
(a coded error, not tried again), ``quarantined`` is an item that used up its attempts.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from doyen_runtime.tables import audit, batch, document, item, open_engine, progress, result, shard
from doyen_schemas import DoyenError

STATES = ("queued", "running", "done", "failed", "quarantined", "cancelled")
LOST = ("RUN-034", "the worker died or stopped answering while it worked on this document")
_CHUNK = 500  # rows of one statement, well below every database's limit on parameters


def options_json(options: Mapping[str, Any]) -> str:
    """Options as canonical JSON: sorted and compact, so that equal options have equal digests."""
    return json.dumps(options, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pack(report: Mapping[str, Any]) -> bytes:
    """A report as it is stored: compressed JSON. TypeError or ValueError when it is not JSON-able."""
    return zlib.compress(json.dumps(report, ensure_ascii=False, allow_nan=False).encode())


def item_key(document_sha256: str, work: Work) -> str:
    """The idempotency key: sha256 (hex) over everything that the report depends on."""
    parts = (document_sha256, work.vertical, work.pipeline_version, work.adapter_digest, work.options_digest)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def this_actor() -> str:
    """Who acts, for the audit log: user and host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True)
class Work:
    """What is done to each document of a batch."""

    vertical: str
    vertical_version: str
    pipeline_version: str
    adapter_digest: str
    options: Mapping[str, Any]

    @property
    def options_digest(self) -> str:
        """The sha256 (hex) of the canonical options."""
        return hashlib.sha256(options_json(self.options).encode()).hexdigest()


@dataclass(frozen=True)
class Submission:
    """A document to be submitted: absolute path, sha256 (hex), size in bytes and estimated pages."""

    path: str
    sha256: str
    bytes: int
    pages: float


@dataclass(frozen=True)
class Claim:
    """The right to work on one item until the lease runs out. ``attempt`` counts from 1."""

    batch_id: str
    key: str
    token: str
    attempt: int
    path: str
    document_sha256: str
    work: Work


@dataclass(frozen=True)
class Progress:
    """How far a batch is: its state and the number of items in every state."""

    batch_id: str
    vertical: str
    state: str
    created: float
    finished: float | None
    documents: int
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """The number of items (documents of the same content count once)."""
        return sum(self.counts.values())

    @property
    def settled(self) -> int:
        """The number of items that nobody will work on any more."""
        return self.total - self.counts["queued"] - self.counts["running"]


@dataclass
class Sweep:
    """What a sweep changed, in items and batches."""

    requeued: int = 0
    quarantined: int = 0
    cancelled: int = 0
    reused: int = 0
    finished: int = 0
    purged: int = 0


@dataclass(frozen=True)
class Waiting:
    """Shards with queued items. ``unrung``: no message is under way; ``stale``: the last one is long ago."""

    unrung: list[tuple[str, int]] = field(default_factory=list)
    stale: list[tuple[str, int]] = field(default_factory=list)


class Ledger:
    """The operations on a ledger; every one is a single transaction.

    Args:
        url: SQLAlchemy URL of an SQLite file or a PostgreSQL database.
        lease_seconds: how long a claim lasts without a heartbeat.
        max_attempts: how often an item is claimed before it goes into quarantine.
        clock: seconds since the epoch, for tests; by default the database's own clock, so that workers on
            several machines agree.
    """

    def __init__(
        self,
        url: str,
        *,
        lease_seconds: float = 60.0,
        max_attempts: int = 3,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.engine: Engine = open_engine(url)
        self.lease_seconds = lease_seconds
        self.max_attempts = max_attempts
        self._clock = clock

    def close(self) -> None:
        """Close the connections; a process that forks calls it first."""
        self.engine.dispose()

    # Submitting

    def submit(self, work: Work, shards: Sequence[Sequence[Submission]], actor: str | None = None) -> str:
        """Record a batch and return its id. Items whose report exists already are done at once."""
        actor = actor or this_actor()
        batch_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        items: dict[str, dict[str, Any]] = {}
        documents: list[dict[str, Any]] = []
        for number, submissions in enumerate(shards):
            for submission in submissions:
                key = item_key(submission.sha256, work)
                position = len(documents)
                documents.append(
                    {"batch_id": batch_id, "position": position, "path": submission.path, "key": key}
                )
                items.setdefault(
                    key,
                    {
                        "batch_id": batch_id, "key": key, "shard": number, "position": position,
                        "document_sha256": submission.sha256, "bytes": submission.bytes,
                        "state": "queued", "attempts": 0,
                    },
                )  # fmt: skip
        with self._write() as connection:
            now = self.now(connection)
            connection.execute(
                insert(batch).values(
                    id=batch_id, vertical=work.vertical, vertical_version=work.vertical_version,
                    pipeline_version=work.pipeline_version, adapter_digest=work.adapter_digest,
                    options=options_json(work.options), options_digest=work.options_digest,
                    state="open", actor=actor, created=now,
                )
            )  # fmt: skip
            connection.execute(
                insert(shard), [{"batch_id": batch_id, "number": number} for number in range(len(shards))]
            )
            connection.execute(insert(item), [{**row, "updated": now} for row in items.values()])
            connection.execute(insert(document), documents)
            self._audit(connection, now, batch_id, actor, "submit", [(None, f"{len(documents)} documents")])
            self._reuse(connection, now, item.c.batch_id == batch_id)
            self._finish(connection, now)
        return batch_id

    # Working

    def claim(self, batch_id: str, number: int, worker: str) -> Claim | None:
        """Take the next item of a shard, or None when there is nothing (left) to do in it.

        The attempts are checked here, before the work: an item that kills its worker cannot be taken for ever.
        """
        with self._write() as connection:
            now = self.now(connection)
            found = connection.execute(select(batch).where(batch.c.id == batch_id)).mappings().first()
            if found is None or found["state"] != "open":
                return None
            in_shard = and_(item.c.batch_id == batch_id, item.c.shard == number)
            self._reuse(connection, now, in_shard)
            self._expire(connection, now, in_shard)
            other = item.alias()
            busy = exists().where(
                other.c.key == item.c.key, other.c.state == "running", other.c.lease_until > now
            )  # the same work, running for another batch
            row = connection.execute(
                select(item)
                .where(in_shard, item.c.state == "queued", ~busy)
                .order_by(item.c.attempts, item.c.position)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                self._finish(connection, now)
                return None
            token = secrets.token_hex(16)
            connection.execute(
                update(item)
                .where(item.c.batch_id == batch_id, item.c.key == row.key)
                .values(
                    state="running", attempts=item.c.attempts + 1, worker=worker, updated=now,
                    lease_token=token, lease_until=now + self.lease_seconds,
                )
            )  # fmt: skip
            path = connection.scalar(
                select(document.c.path)
                .where(document.c.batch_id == batch_id, document.c.key == row.key)
                .order_by(document.c.position)
                .limit(1)
            )
            work = Work(
                found["vertical"], found["vertical_version"], found["pipeline_version"],
                found["adapter_digest"], json.loads(found["options"]),
            )  # fmt: skip
            return Claim(batch_id, row.key, token, row.attempts + 1, str(path), row.document_sha256, work)

    def heartbeat(self, claim: Claim) -> bool:
        """Extend the lease; False when it was lost (the item was swept, or its batch purged)."""
        with self._write() as connection:
            changed = connection.execute(
                update(item).where(_held(claim)).values(lease_until=self.now(connection) + self.lease_seconds)
            )
            return bool(changed.rowcount)

    def complete(self, claim: Claim, packed: bytes, seconds: float) -> bool:
        """Store the packed report; the first success wins. False when there was nothing left to complete.

        A lease that ran out does not matter: the report is right whoever made it.
        """
        with self._write() as connection:
            now = self.now(connection)
            self._lock(connection, claim.batch_id)
            changed = connection.execute(
                update(item)
                .where(
                    item.c.batch_id == claim.batch_id,
                    item.c.key == claim.key,
                    item.c.state.in_(("queued", "running", "quarantined")),
                )
                .values(state="done", seconds=seconds, updated=now, **_RELEASED, **_NO_ERROR)
            )
            if not changed.rowcount:
                return False
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(
                dialect.insert(result)
                .values(key=claim.key, report=packed, created=now)
                .on_conflict_do_nothing()
            )
            self._audit(
                connection, now, claim.batch_id, this_actor(), "review", [(claim.document_sha256, "done")]
            )
            self._finish(connection, now)
            return True

    def fail(self, claim: Claim, code: str, message: str, *, final: bool) -> str | None:
        """Record a failure and return the item's new state, or None when the lease was lost meanwhile.

        ``final`` failures are the document's own. The others are tried again, last in their shard, until the
        attempts are used up.
        """
        with self._write() as connection:
            now = self.now(connection)
            self._lock(connection, claim.batch_id)
            if final:
                state = "failed"
            else:
                state = "quarantined" if claim.attempt >= self.max_attempts else "queued"
            changed = connection.execute(
                update(item)
                .where(_held(claim))
                .values(state=state, error_code=code, error_message=message, updated=now, **_RELEASED)
            )
            if not changed.rowcount:
                return None
            if state != "queued":
                decision = f"{state} {code}"
                self._audit(
                    connection,
                    now,
                    claim.batch_id,
                    this_actor(),
                    "review",
                    [(claim.document_sha256, decision)],
                )
            self._finish(connection, now)
            return state

    def release(self, claim: Claim) -> bool:
        """Give an item back as it was before the claim: its worker goes away, and no attempt is used up.

        False when the lease was lost meanwhile.
        """
        with self._write() as connection:
            changed = connection.execute(
                update(item)
                .where(_held(claim))
                .values(
                    state="queued", attempts=item.c.attempts - 1, updated=self.now(connection), **_RELEASED
                )
            )
            of_item = and_(item.c.batch_id == claim.batch_id, item.c.key == claim.key)
            number = select(item.c.shard).where(of_item).scalar_subquery()
            connection.execute(
                update(shard)
                .where(shard.c.batch_id == claim.batch_id, shard.c.number == number)
                .values(rung=None)
            )
            return bool(changed.rowcount)

    def note(self, claim: Claim, value: Mapping[str, Any]) -> None:
        """Record how far a long piece of work is; only the newest note is kept."""
        with self._write() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            row = {"value": options_json(value), "updated": self.now(connection)}
            connection.execute(
                dialect.insert(progress)
                .values(key=claim.key, **row)
                .on_conflict_do_update(index_elements=[progress.c.key], set_=row)
            )

    # Keeping house

    def sweep(self, retention_days: float | None = None) -> Sweep:
        """Give back what dead workers held, settle what is done elsewhere, close finished batches, purge old ones."""
        done = Sweep()
        with self._write() as connection:
            now = self.now(connection)
            done.reused = self._reuse(connection, now, item.c.batch_id.in_(_open_batches()))
            done.requeued, done.quarantined, done.cancelled = self._expire(connection, now)
            done.finished = self._finish(connection, now)
            if retention_days is not None:
                done.purged = self._purge(connection, now, now - 86400 * retention_days, "retention")
        return done

    def waiting(self, vertical: str | None = None, *, ring_again_seconds: float = 30.0) -> Waiting:
        """The shards of open batches that have queued items and no recent message."""
        with self._read() as connection:
            now = self.now(connection)
            queued = exists().where(
                item.c.batch_id == shard.c.batch_id, item.c.shard == shard.c.number, item.c.state == "queued"
            )
            query = (
                select(shard)
                .join(batch, batch.c.id == shard.c.batch_id)
                .where(
                    batch.c.state == "open",
                    queued,
                    or_(shard.c.rung.is_(None), shard.c.rung < now - ring_again_seconds),
                )
                .order_by(batch.c.created, shard.c.number)
            )
            if vertical is not None:
                query = query.where(batch.c.vertical == vertical)
            rows = connection.execute(query).all()
        return Waiting(
            unrung=[(row.batch_id, row.number) for row in rows if row.rung is None],
            stale=[(row.batch_id, row.number) for row in rows if row.rung is not None],
        )

    def rung(self, shards: Sequence[tuple[str, int]]) -> None:
        """Record that messages for these ``(batch, shard)`` were sent."""
        if not shards:
            return
        with self._write() as connection:
            connection.execute(
                update(shard)
                .where(shard.c.batch_id == bindparam("of_batch"), shard.c.number == bindparam("of_number"))
                .values(rung=self.now(connection)),
                [{"of_batch": batch_id, "of_number": number} for batch_id, number in shards],
            )

    def purge(self, *, batch_id: str | None = None, older_than_days: float | None = None) -> int:
        """Delete settled batches, and the reports that no other batch needs; the number of batches deleted.

        The audit log stays: it holds digests and decisions, no content.

        Raises:
            DoyenError: RUN-022 unknown batch, RUN-028 the batch is still open.
        """
        with self._write() as connection:
            now = self.now(connection)
            if batch_id is None:
                count = self._purge(connection, now, now - 86400 * (older_than_days or 0.0), this_actor())
            else:
                if self._batch(connection, batch_id)["state"] == "open":
                    raise DoyenError(
                        "RUN-028",
                        f"the batch {batch_id} is open: only settled batches can be purged",
                        f"Wait for it, or doyen batch cancel {batch_id}.",
                    )
                count = self._purge(connection, now, None, this_actor(), batch_id)
        if self.engine.dialect.name == "sqlite" and count:
            # Deleted pages are overwritten, but old copies stay in the write-ahead log until it is cut off.
            raw = self.engine.raw_connection()
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raw.close()
        return count

    # Steering

    def cancel(self, batch_id: str) -> int:
        """Cancel what has not begun and return how many items that were; running items end normally. Raises RUN-022."""
        with self._write() as connection:
            now = self.now(connection)
            self._lock(connection, batch_id)
            found = self._batch(connection, batch_id)
            if found["state"] != "open":
                return 0
            connection.execute(
                update(batch).where(batch.c.id == batch_id).values(state="cancelled", finished=now)
            )
            changed = connection.execute(
                update(item)
                .where(item.c.batch_id == batch_id, item.c.state == "queued")
                .values(state="cancelled", updated=now)
            )
            count = changed.rowcount
            self._audit(connection, now, batch_id, this_actor(), "cancel", [(None, f"{count} items")])
            return count

    def retry(self, batch_id: str) -> int:
        """Queue the failed and quarantined items again with fresh attempts; how many. Raises RUN-022."""
        with self._write() as connection:
            now = self.now(connection)
            self._lock(connection, batch_id)
            self._batch(connection, batch_id)
            again = and_(item.c.batch_id == batch_id, item.c.state.in_(("failed", "quarantined")))
            shards = select(item.c.shard).where(again)
            connection.execute(
                update(shard)
                .where(shard.c.batch_id == batch_id, shard.c.number.in_(shards))
                .values(rung=None)
            )
            changed = connection.execute(
                update(item).where(again).values(state="queued", attempts=0, updated=now, **_NO_ERROR)
            )
            if changed.rowcount:
                connection.execute(
                    update(batch).where(batch.c.id == batch_id).values(state="open", finished=None)
                )
                self._audit(
                    connection, now, batch_id, this_actor(), "retry", [(None, f"{changed.rowcount} items")]
                )
            return changed.rowcount

    # Looking

    def progress(self, batch_id: str) -> Progress:
        """How far ``batch_id`` is. Raises RUN-022."""
        with self._read() as connection:
            return self._progress(connection, self._batch(connection, batch_id))

    def batches(self, limit: int = 50) -> list[Progress]:
        """The newest batches first."""
        with self._read() as connection:
            rows = (
                connection.execute(select(batch).order_by(batch.c.created.desc()).limit(limit))
                .mappings()
                .all()
            )
            return [self._progress(connection, dict(row)) for row in rows]

    def documents(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """Every submitted path in order, with its item's state, attempts, error and seconds. Raises RUN-022."""
        columns = (
            document.c.position, document.c.path, item.c.key, item.c.document_sha256, item.c.bytes, item.c.state,
            item.c.attempts, item.c.error_code, item.c.error_message, item.c.seconds,
        )  # fmt: skip
        with self._read() as connection:
            self._batch(connection, batch_id)
            rows = connection.execute(
                select(*columns)
                .join(item, and_(item.c.batch_id == document.c.batch_id, item.c.key == document.c.key))
                .where(document.c.batch_id == batch_id)
                .order_by(document.c.position)
            )
            for row in rows.mappings():
                yield dict(row)

    def noted(self, key: str) -> dict[str, Any] | None:
        """The newest note about an item's work, or None."""
        with self._read() as connection:
            value = connection.scalar(select(progress.c.value).where(progress.c.key == key))
        return None if value is None else json.loads(value)

    def submissions(self, key: str) -> list[dict[str, Any]]:
        """The items with this key, newest batch first: batch, path, state, attempts and error."""
        columns = (
            item.c.batch_id, document.c.path, item.c.state, item.c.attempts, item.c.error_code, item.c.error_message,
        )  # fmt: skip
        with self._read() as connection:
            rows = connection.execute(
                select(*columns)
                .join(document, and_(item.c.batch_id == document.c.batch_id, item.c.key == document.c.key))
                .join(batch, batch.c.id == item.c.batch_id)
                .where(item.c.key == key)
                .order_by(batch.c.created.desc())
            )
            return [dict(row) for row in rows.mappings()]

    def report(self, key: str) -> dict[str, Any] | None:
        """The report stored under an item's key, or None."""
        with self._read() as connection:
            packed = connection.scalar(select(result.c.report).where(result.c.key == key))
        return None if packed is None else json.loads(zlib.decompress(packed))

    def audit_log(self, batch_id: str | None = None) -> list[dict[str, Any]]:
        """The audit entries in the order in which they were made."""
        query: Select[Any] = select(audit).order_by(audit.c.id)
        if batch_id is not None:
            query = query.where(audit.c.batch_id == batch_id)
        with self._read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def now(self, connection: Connection) -> float:
        """Seconds since the epoch by the one clock that all workers share."""
        if self._clock is not None:
            return self._clock()
        if connection.dialect.name == "postgresql":
            return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)
        return time.time()  # SQLite is on this machine

    # Inside a transaction

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(doyen_read=True) as connection:
            yield connection

    def _batch(self, connection: Connection, batch_id: str) -> Mapping[str, Any]:
        found = connection.execute(select(batch).where(batch.c.id == batch_id)).mappings().first()
        if found is None:
            raise DoyenError(
                "RUN-022", f"there is no batch {batch_id!r}", "doyen batch list shows the batches."
            )
        return found  # type: ignore[return-value]

    def _lock(self, connection: Connection, batch_id: str) -> None:
        # Two workers that settle the last two items at once must see each other, or neither closes the batch.
        connection.execute(select(batch.c.id).where(batch.c.id == batch_id).with_for_update())

    def _progress(self, connection: Connection, row: Mapping[str, Any]) -> Progress:
        counted = connection.execute(
            select(item.c.state, func.count()).where(item.c.batch_id == row["id"]).group_by(item.c.state)
        )
        counts = dict.fromkeys(STATES, 0) | {state: count for state, count in counted}
        documents = connection.scalar(select(func.count()).where(document.c.batch_id == row["id"])) or 0
        return Progress(
            row["id"], row["vertical"], row["state"], row["created"], row["finished"], documents, counts
        )

    def _reuse(self, connection: Connection, now: float, where: Any) -> int:
        """Settle items whose report exists: queued ones, and those whose lease ran out while another batch did the work."""
        lapsed = and_(item.c.state == "running", item.c.lease_until <= now)
        rows = connection.execute(
            select(item.c.batch_id, item.c.key, item.c.document_sha256)
            .join(result, result.c.key == item.c.key)
            .where(where, or_(item.c.state == "queued", lapsed))
        ).all()
        self._settle(connection, now, rows, "done", "reuse", "done", **_NO_ERROR)
        return len(rows)

    def _expire(self, connection: Connection, now: float, where: Any = True) -> tuple[int, int, int]:
        """Requeue, quarantine or cancel items whose lease ran out, and quarantine queued ones without attempts left."""
        lapsed = and_(item.c.state == "running", item.c.lease_until <= now)
        spent = and_(item.c.state == "queued", item.c.attempts >= self.max_attempts)
        rows = connection.execute(
            select(
                item.c.batch_id, item.c.key, item.c.document_sha256, item.c.shard, item.c.attempts,
                item.c.state, item.c.error_code, item.c.error_message, batch.c.state.label("of_batch"),
            )
            .join(batch, batch.c.id == item.c.batch_id)
            .where(or_(lapsed, spent))
            .where(where)
            .with_for_update(skip_locked=True, of=item)
        ).all()  # fmt: skip
        dropped = [row for row in rows if row.of_batch == "cancelled"]
        quarantined = [
            row for row in rows if row.of_batch != "cancelled" and row.attempts >= self.max_attempts
        ]
        again = [row for row in rows if row.of_batch != "cancelled" and row.attempts < self.max_attempts]
        self._settle(connection, now, dropped, "cancelled", "cancel", "cancelled after its worker was lost")
        lost = [row for row in quarantined if row.state == "running"]
        rest = [row for row in quarantined if row.state != "running"]
        error = {"error_code": LOST[0], "error_message": LOST[1]}
        self._settle(connection, now, lost, "quarantined", "review", f"quarantined {LOST[0]}", **error)
        self._settle(connection, now, rest, "quarantined", "review", "quarantined")
        self._settle(connection, now, again, "queued", None, "", **error)
        for batch_id, number in sorted({(row.batch_id, row.shard) for row in again}):
            connection.execute(
                update(shard).where(shard.c.batch_id == batch_id, shard.c.number == number).values(rung=None)
            )
        return len(again), len(quarantined), len(dropped)

    def _settle(
        self, connection: Connection, now: float, rows: Sequence[Any], state: str, action: str | None, decision: str,
        **values: Any,
    ) -> None:  # fmt: skip
        for batch_id in sorted({row.batch_id for row in rows}):
            mine = [row for row in rows if row.batch_id == batch_id]
            for at in range(0, len(mine), _CHUNK):
                keys = [row.key for row in mine[at : at + _CHUNK]]
                connection.execute(
                    update(item)
                    .where(item.c.batch_id == batch_id, item.c.key.in_(keys))
                    .values(state=state, updated=now, **_RELEASED, **values)
                )
            if action is not None:
                entries = [(row.document_sha256, decision) for row in mine]
                self._audit(connection, now, batch_id, this_actor(), action, entries)

    def _finish(self, connection: Connection, now: float) -> int:
        """Close the open batches that have nothing queued or running."""
        left = exists().where(item.c.batch_id == batch.c.id, item.c.state.in_(("queued", "running")))
        changed = connection.execute(
            update(batch).where(batch.c.state == "open", ~left).values(state="finished", finished=now)
        )
        return changed.rowcount

    def _purge(
        self,
        connection: Connection,
        now: float,
        before: float | None,
        actor: str,
        batch_id: str | None = None,
    ) -> int:
        query = select(batch.c.id).where(batch.c.state != "open")
        query = query.where(batch.c.id == batch_id) if batch_id else query.where(batch.c.finished < before)
        ids = list(connection.scalars(query))
        for one in ids:
            self._audit(connection, now, one, actor, "purge", [(None, "purged")])
            connection.execute(delete(batch).where(batch.c.id == one))
        if ids:
            for table in (result, progress):
                connection.execute(delete(table).where(~exists().where(item.c.key == table.c.key)))
        return len(ids)

    def _audit(
        self, connection: Connection, now: float, batch_id: str, actor: str, action: str,
        entries: Sequence[tuple[str | None, str]],
    ) -> None:  # fmt: skip
        if not entries:
            return
        of = self._batch(connection, batch_id)
        connection.execute(
            insert(audit),
            [
                {
                    "time": now, "actor": actor, "action": action, "batch_id": batch_id,
                    "vertical": of["vertical"], "pipeline_version": of["pipeline_version"],
                    "adapter_digest": of["adapter_digest"], "options_digest": of["options_digest"],
                    "document_sha256": document_sha256, "decision": decision,
                }
                for document_sha256, decision in entries
            ],
        )  # fmt: skip


_RELEASED = {"lease_token": None, "lease_until": None}
_NO_ERROR = {"error_code": None, "error_message": None}


def _held(claim: Claim) -> Any:
    return and_(
        item.c.batch_id == claim.batch_id,
        item.c.key == claim.key,
        item.c.lease_token == claim.token,
        item.c.state == "running",
    )


def _open_batches() -> Any:
    return select(batch.c.id).where(batch.c.state == "open")
