"""The ledger's tables, and opening them on SQLite or PostgreSQL with one schema."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from doyen_schemas import DoyenError

SCHEMA_VERSION = 1
metadata = MetaData()

# All times are seconds since the epoch, by the database's clock (see Ledger.now).
schema = Table("doyen_schema", metadata, Column("version", Integer, primary_key=True))

batch = Table(
    "doyen_batch",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("vertical", String(40), nullable=False),
    Column("vertical_version", Text, nullable=False),
    Column("pipeline_version", Text, nullable=False),
    Column("adapter_digest", Text, nullable=False),
    Column("options", Text, nullable=False),  # canonical JSON
    Column("options_digest", String(64), nullable=False),
    Column("state", String(12), nullable=False),  # open, finished, cancelled
    Column("actor", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("finished", Double),
    Index("doyen_batch_state", "state", "created"),
)

# A shard is one message's worth of work. `rung` is when a message for it was last sent.
shard = Table(
    "doyen_shard",
    metadata,
    Column("batch_id", ForeignKey("doyen_batch.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rung", Double),
)

# One unit of work. `key` is the digest of everything that the report depends on.
item = Table(
    "doyen_item",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("document_sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("state", String(12), nullable=False),  # queued, running, done, failed, quarantined, cancelled
    Column("attempts", Integer, nullable=False),
    Column("lease_token", String(32)),
    Column("lease_until", Double),
    Column("worker", Text),
    Column("error_code", String(16)),
    Column("error_message", Text),
    Column("seconds", Double),
    Column("updated", Double, nullable=False),
    ForeignKeyConstraint(
        ["batch_id", "shard"], ["doyen_shard.batch_id", "doyen_shard.number"], ondelete="CASCADE"
    ),
    Index("doyen_item_shard", "batch_id", "shard", "state"),
    Index("doyen_item_batch", "batch_id", "state"),
    Index("doyen_item_state", "state", "lease_until"),
    Index("doyen_item_key", "key"),
)

# Every path that was submitted. Two paths with the same content share an item.
document = Table(
    "doyen_document",
    metadata,
    Column("batch_id", ForeignKey("doyen_batch.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("path", Text, nullable=False),
    Column("key", String(64), nullable=False),
    Index("doyen_document_key", "batch_id", "key"),
)

# Reports by key, not by batch: whoever submits the same work again finds it here.
result = Table(
    "doyen_result",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("report", LargeBinary, nullable=False),  # zlib-compressed JSON
    Column("created", Double, nullable=False),
)

# How far a long piece of work is, in its own words (JSON); the newest only.
progress = Table(
    "doyen_progress",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated", Double, nullable=False),
)

audit = Table(
    "doyen_audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(20), nullable=False),
    Column("batch_id", String(40), nullable=False),
    Column("vertical", String(40), nullable=False),
    Column("pipeline_version", Text, nullable=False),
    Column("adapter_digest", Text, nullable=False),
    Column("options_digest", String(64), nullable=False),
    Column("document_sha256", String(64)),
    Column("decision", Text, nullable=False),
    Index("doyen_audit_batch", "batch_id"),
)

# Append-only is the database's rule, not the program's habit.
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER doyen_audit_no_{action.lower()} BEFORE {action} ON doyen_audit"
        " BEGIN SELECT RAISE(ABORT, 'doyen_audit is append-only'); END"
        for action in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION doyen_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'doyen_audit is append-only'; END $$",
        "CREATE TRIGGER doyen_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON doyen_audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION doyen_audit_refuse()",
    ],
}


@event.listens_for(audit, "after_create")
def _append_only(_target: Table, connection: Connection, **_: Any) -> None:
    for statement in _APPEND_ONLY[connection.dialect.name]:
        connection.execute(text(statement))


def open_engine(url: str) -> Engine:
    """An engine on an existing or new ledger.

    Raises:
        DoyenError: RUN-020 the database cannot be opened, RUN-021 it holds another schema version.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DoyenError("RUN-020", "the ledger URL is not a URL", _hint()) from error
    try:
        engine = (
            _sqlite(parsed)
            if parsed.get_backend_name() == "sqlite"
            else create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
        )
        with engine.begin() as connection:
            found = _prepare(connection)
    except ModuleNotFoundError as error:
        raise DoyenError(
            "RUN-020",
            f"the ledger {shown(url)} needs the module {error.name}",
            "pip install doyen-runtime[postgres]",
        ) from error
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        reason = (
            f"{type(cause).__name__}: {str(cause).splitlines()[0]}" if str(cause) else type(cause).__name__
        )
        raise DoyenError("RUN-020", f"the ledger {shown(url)} cannot be opened: {reason}", _hint()) from error
    if found != SCHEMA_VERSION:
        engine.dispose()
        raise DoyenError(
            "RUN-021",
            f"the ledger {shown(url)} has schema version {found}; this doyen-runtime works with {SCHEMA_VERSION}",
            "Use the doyen-runtime that made it, or name a new ledger with DOYEN_LEDGER_URL.",
        )
    return engine


def shown(url: str) -> str:
    """``url`` without its password."""
    return make_url(url).render_as_string(hide_password=True)


def _hint() -> str:
    return "Check DOYEN_LEDGER_URL (sqlite:////path/ledger.db or postgresql+psycopg://user@host/database)."


def _prepare(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        # Two processes that start at once must not both create the tables.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('doyen_schema'))"))
    metadata.create_all(connection)
    found = connection.scalar(select(schema.c.version))
    if found is None:
        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
        return SCHEMA_VERSION
    return int(found)


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Reports are confidential: the file must be private before anything is in it. An existing file is not
        # touched: closing any descriptor of it would drop the locks of this process's other connections, and
        # another process could then remove the write-ahead log under them.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = create_engine(
        url, connect_args={"timeout": 30, "check_same_thread": False}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection, _record):  # type: ignore[no-untyped-def]
        # Python must not open transactions behind SQLAlchemy's back: see _begin.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could fail with "database is locked" without waiting;
        # taking the write lock at once makes it wait its turn.
        reading = connection.get_execution_options().get("doyen_read")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
