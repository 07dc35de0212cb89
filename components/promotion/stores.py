"""The journal's table on SQLite and PostgreSQL, and the store's errors in words.

SQLite: WAL, a busy timeout, full sync; a write transaction starts with BEGIN IMMEDIATE. PostgreSQL: a write
transaction locks the table against other writers. Either way all writers queue, so what a transaction reads is
what it writes upon. The table is created under a lock (first starts race); triggers refuse UPDATE and DELETE,
against accidents; against intent there are the chain and the anchors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from components.core.errors import (
    ConfigError,
    ConflictError,
    IntegrityError,
    StateError,
    StorageError,
    UnavailableError,
)
from components.core.files import storage_errors
from components.promotion.migrations import migrate

SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 60.0
LOCK_TIMEOUT_S = 120.0
METADATA = sa.MetaData()
JOURNAL = sa.Table(
    "detent_journal",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("workload", sa.Text, nullable=False),
    sa.Column("catalog", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("proposal", sa.Integer),
    sa.Column("generation", sa.Integer),
    sa.Column("from_model", sa.Text),
    sa.Column("to_model", sa.Text),
    sa.Column("decision", sa.Text),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("signed_by", sa.Text),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("signature", sa.Text),
    sa.Column("target", sa.Text, nullable=False, server_default=""),
    # a second guard on the compare-and-set: no champion has two successors, whatever lock failed
    sa.UniqueConstraint("workload", "catalog", "target", "generation"),
    sa.Index("detent_journal_proposal", "proposal"),
    sa.Index("detent_journal_kind", "kind", "sequence"),
)
VERSION = sa.Table("detent_journal_schema", METADATA, sa.Column("version", sa.Integer, nullable=False))

_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER detent_journal_no_{verb} BEFORE {verb} ON detent_journal "
        "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        "CREATE FUNCTION detent_journal_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$",
        "CREATE TRIGGER detent_journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON detent_journal "
        "FOR EACH STATEMENT EXECUTE FUNCTION detent_journal_refuse()",
    ],
}
_STORAGE = ("readonly", "read-only", "disk is full", "disk i/o error", "no space left", "unable to open database")

_DAMAGE = ("malformed", "not a database", "could not decode", "invalid byte sequence")


def open_engine(address: str) -> Engine:
    """An engine for `sqlite:///PATH` or `postgresql+psycopg://...`, its table made or brought up to date.

    ConfigError for other addresses, StateError for a table that a newer Detent made.
    """
    url = _parse(address)
    try:
        engine = _sqlite(url) if url.get_backend_name() == "sqlite" else sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"{error.name} is not installed: pip install 'detent[postgres]'") from error
    try:
        with store_errors(url):
            _create(engine, url)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Turn the database's refusals into Detent's errors; nothing of the transaction was kept."""
    where = url.render_as_string(hide_password=True)
    try:
        yield
    except UnicodeDecodeError as error:  # a name in SQLite's own schema is no longer text
        raise IntegrityError(f"journal {where} is damaged: {error}; restore it from a backup, then verify") from error
    except sa.exc.IntegrityError as error:
        raise ConflictError(
            f"journal {where}: another writer took this place first ({error.orig}); try again"
        ) from error
    except sa.exc.DBAPIError as error:
        text = str(error.orig).strip()
        if any(mark in text.lower() for mark in _STORAGE):
            raise StorageError(
                f"cannot write the journal {where}: {text}; free space or choose a place you may write to "
                "(DETENT_JOURNAL_URL, DETENT_HOME), then run again: nothing was half-written"
            ) from error
        if any(mark in text.lower() for mark in _DAMAGE):
            raise IntegrityError(
                f"journal {where} is damaged: {text}; restore it from a backup, then verify"
            ) from error
        if "locked" in text:
            raise StateError(
                f"journal {where} stayed locked for {BUSY_TIMEOUT_S:.0f} s; end the process that holds it"
            ) from error
        raise UnavailableError(f"journal {where} does not answer: {text}; check the address and the server") from error


def lock_writes(connection: Connection) -> None:
    """Queue behind the other writers until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE detent_journal IN EXCLUSIVE MODE"))


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock file, which a kill lets go; StateError when another process keeps it too long."""
    from filelock import FileLock, Timeout

    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout:
            text = f"{path} stayed locked for {LOCK_TIMEOUT_S:.0f} s; see which process holds it, then run again"
            raise StateError(text) from None
    try:
        yield
    finally:
        lock.release()


def _parse(address: str) -> URL:
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise ConfigError(_ALLOWED.format(address)) from None
    if url.drivername not in ("sqlite", "postgresql+psycopg") or (url.drivername == "sqlite" and not url.database):
        raise ConfigError(_ALLOWED.format(url.render_as_string(hide_password=True)))
    return url


_ALLOWED = "journal address {!r}: use sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE (DETENT_JOURNAL_URL)"


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("detent_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create(engine: Engine, url: URL) -> None:
    with engine.connect() as connection:
        found = _version(connection)
    if found is None or found < SCHEMA_VERSION:
        with _creation_lock(engine, url) as connection:
            found = _version(connection)  # another process may have been first
            if found is None:
                METADATA.create_all(connection)
                for statement in _APPEND_ONLY[connection.dialect.name]:
                    connection.exec_driver_sql(statement)
                connection.execute(VERSION.insert().values(version=SCHEMA_VERSION))
            elif found < SCHEMA_VERSION:
                migrate(connection, found)
                connection.execute(VERSION.update().values(version=SCHEMA_VERSION))
            found = _version(connection)
    if found != SCHEMA_VERSION:
        raise StateError(f"the journal has schema {found}, this Detent knows {SCHEMA_VERSION}: use the newer Detent")


def _version(connection: Connection) -> int | None:
    if not sa.inspect(connection).has_table(VERSION.name):
        return None
    return connection.scalar(sa.select(VERSION.c.version))


@contextmanager
def _creation_lock(engine: Engine, url: URL) -> Iterator[Connection]:
    writer = engine.execution_options(detent_writes=True)
    if engine.dialect.name == "postgresql":
        with writer.begin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('detent_journal'))"))
            yield connection
        return
    path = Path(url.database or "")
    with file_lock(path.with_name(path.name + ".create.lock")):
        # changing to WAL ignores the busy timeout, hence the file lock around it
        raw = engine.raw_connection()
        raw.cursor().execute("PRAGMA journal_mode=WAL")
        raw.close()
        with writer.begin() as connection:
            yield connection
