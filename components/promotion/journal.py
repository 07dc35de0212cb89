"""The journal: the one record of who proposed, approved, promoted and rolled back which model, and why.

Rows are only ever added, each chained to the one before by its digest (see rows.py), its head anchored outside
the database (see anchors.py). All writers queue, and a transaction that finds a tail other than the anchored
one refuses to write, so nobody builds on a forged history. The champion is what the last row says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from components.core.champions import Champion, ChampionKey
from components.core.errors import ConflictError, IntegrityError
from components.promotion.anchors import Anchor, Anchored, FileAnchor, Head
from components.promotion.rows import CLOSING_KINDS, LOOK_KINDS, ROW_COLUMNS, Entry, Row, canonical, seal
from components.promotion.stores import JOURNAL, lock_writes, open_engine, store_errors

ANCHOR_FILE = "journal.head.json"
_COLUMNS = [JOURNAL.c[name] for name in ROW_COLUMNS]
_ENTRY_COLUMNS = tuple(item.name for item in fields(Entry) if item.name != "details")
_HEAD = sa.select(JOURNAL.c.sequence, JOURNAL.c.digest).order_by(JOURNAL.c.sequence.desc()).limit(1)


class Signer(Protocol):
    """Signs digests with a key that is kept outside the database."""

    name: str

    def sign(self, digest: str) -> str:
        """The signature of a digest, in hex."""


def ignore_step(name: str) -> None:
    """Do nothing at a durable step; the kill tests pass a hook of their own instead."""


class Journal:
    """An open journal. `home` holds the anchor and the locks; see `open`."""

    def __init__(self, engine: Engine, *, anchor: Anchor, home: Path) -> None:
        self.engine = engine
        self.anchor = anchor
        self.home = home
        self.signer: Signer | None = None
        self.clock: Callable[[], datetime] = _utc_now
        self.on_step: Callable[[str], None] = ignore_step

    @classmethod
    def open(cls, url: str | None = None, *, home: Path | None = None, anchor: Anchor | None = None) -> Journal:
        """Open the journal at `url`, making its table when it is new; safe when many processes start at once.

        `home` defaults to DETENT_HOME or `.detent`; `url` to DETENT_JOURNAL_URL or `journal.db` there; `anchor` to
        the file `journal.head.json` there. Machines that share a PostgreSQL journal must share the anchor too.
        ConfigError for an address of another kind, UnavailableError when the server does not answer,
        StorageError when the place cannot be written.
        """
        home = (home or Path(os.environ.get("DETENT_HOME", ".detent"))).absolute()
        url = url or os.environ.get("DETENT_JOURNAL_URL") or f"sqlite:///{home / 'journal.db'}"
        return cls(open_engine(url), anchor=anchor or FileAnchor(home / ANCHOR_FILE), home=home)

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def champion(self, key: ChampionKey) -> Champion | None:
        """The champion of a key, None before the first promotion."""
        with self.reading() as ledger:
            return ledger.champion(key)

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """A consistent view of the journal."""
        with store_errors(self.engine.url), self.engine.connect() as connection:
            yield Ledger(connection)

    @contextmanager
    def writing(self, verb: str) -> Iterator[Transaction]:
        """A transaction that holds the write lock; rows added in it are kept all together or not at all."""
        with store_errors(self.engine.url):
            with self._locked() as connection:
                transaction = Transaction(connection, self)
                self._check_anchor(transaction.old_head)
                self.on_step(f"{verb}: with the write lock")
                yield transaction
                if not transaction.added:
                    return
                self.on_step(f"{verb}: before anchoring the pending head")
                self.anchor.write(Anchored(head=transaction.old_head, pending=transaction.head()))
                self.on_step(f"{verb}: before the commit")
            self.on_step(f"{verb}: after the commit")
            self.settle()
            self.on_step(f"{verb}: after anchoring the new head")

    def settle(self) -> Head:
        """Write the journal's head to the anchor, once no commit is under way; repairs what a kill left pending."""
        with store_errors(self.engine.url), self._locked() as connection:
            head = Ledger(connection).head()
            if self.anchor.read() != Anchored(head=head):
                self._check_anchor(head)
                self.anchor.write(Anchored(head=head))
            return head

    def adopt(self, expected: Head, entry: Entry) -> None:
        """Add a row upon a head that the anchor does not know, and anchor it; for `audit.adopt_head`."""
        with store_errors(self.engine.url):
            with self._locked() as connection:
                transaction = Transaction(connection, self)
                if transaction.old_head != expected:
                    raise ConflictError("the journal grew while it was verified; verify again, then decide again")
                transaction.append(entry)
            with self._locked() as connection:
                self.anchor.write(Anchored(head=Ledger(connection).head()))

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self.engine.execution_options(detent_writes=True).begin() as connection:
            lock_writes(connection)
            yield connection

    def _check_anchor(self, head: Head) -> None:
        anchored = self.anchor.read()
        if anchored is None and head.sequence == 0:
            return
        if anchored is None or not anchored.allows(head):
            known = "nothing" if anchored is None else f"row {anchored.head.sequence}"
            raise IntegrityError(
                f"the journal ends in row {head.sequence}, the anchor ({self.anchor.name}) knows {known}: "
                "rows were cut or added behind its back, or the anchor belongs to another journal; "
                "nothing was written. Run `detent verify`"
            )


class Ledger:
    """Questions to the journal within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self) -> Head:
        """The last row's number and digest."""
        row = self._connection.execute(_HEAD).first()
        return Head(sequence=row.sequence, digest=row.digest) if row else Head()

    def champion(self, key: ChampionKey) -> Champion | None:
        """The present champion of a key."""
        rows = self.champions(key, limit=1)
        return rows[0] if rows else None

    def champions(self, key: ChampionKey, *, limit: int | None = None) -> list[Champion]:
        """The champions of a key, the present one first."""
        where = [JOURNAL.c[name] == value for name, value in key._asdict().items()]
        where.append(JOURNAL.c.generation.is_not(None))
        query = sa.select(*_COLUMNS).where(*where).order_by(JOURNAL.c.generation.desc()).limit(limit)
        return [row.champion() for row in self._read(query)]

    def champion_keys(self) -> list[ChampionKey]:
        """Every key that ever had a champion."""
        columns = [JOURNAL.c[name] for name in ChampionKey._fields]
        query = sa.select(*columns).where(JOURNAL.c.generation.is_not(None)).distinct()
        return sorted(ChampionKey(*row) for row in self._connection.execute(query))

    def proposal_rows(self, number: int) -> list[Row]:
        """The rows of one proposal in order, its own first; empty when there is none."""
        return self._read(sa.select(*_COLUMNS).where(JOURNAL.c.proposal == number).order_by(JOURNAL.c.sequence))

    def open_proposals(self) -> list[int]:
        """The numbers of the proposals that nothing has closed yet, in order."""
        closed = sa.select(JOURNAL.c.proposal).where(JOURNAL.c.kind.in_(CLOSING_KINDS), JOURNAL.c.proposal.is_not(None))
        where = [JOURNAL.c.kind == "proposed", JOURNAL.c.proposal.not_in(closed)]
        query = sa.select(JOURNAL.c.proposal).where(*where).order_by(JOURNAL.c.sequence)
        return [int(number) for number in self._connection.scalars(query)]

    def row(self, sequence: int) -> Row:
        """One row by its number."""
        return self.rows(JOURNAL.c.sequence == sequence)[0]

    def rows(self, *where: sa.ColumnElement[bool]) -> list[Row]:
        """Rows in order."""
        return self._read(sa.select(*_COLUMNS).where(*where).order_by(JOURNAL.c.sequence))

    def stream(self, *where: sa.ColumnElement[bool], batch_rows: int) -> Generator[Row, None, None]:
        """Rows in order, fetched `batch_rows` at a time from one view of the journal."""
        query = sa.select(*_COLUMNS).where(*where).order_by(JOURNAL.c.sequence)
        with self._connection.execute(query, execution_options={"yield_per": batch_rows}) as result:
            for batch in result.partitions():
                yield from map(Row._make, batch)

    def last_rows(self, *where: sa.ColumnElement[bool], limit: int) -> list[Row]:
        """The last `limit` rows, in order."""
        query = sa.select(*_COLUMNS).where(*where).order_by(JOURNAL.c.sequence.desc()).limit(limit)
        return self._read(query)[::-1]

    def _read(self, query: sa.Select[Any]) -> list[Row]:
        return list(map(Row._make, self._connection.execute(query).fetchall()))


class Transaction(Ledger):
    """A ledger under the write lock, to which rows can be added."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        super().__init__(connection)
        self._signer = journal.signer
        self.now = journal.clock()
        self.old_head = super().head()
        self.added: list[Row] = []

    def head(self) -> Head:
        """The last row's number and digest, those added here included."""
        if not self.added:
            return self.old_head
        return Head(sequence=self.added[-1].sequence, digest=self.added[-1].digest)

    def append(self, entry: Entry) -> Row:
        """Add one row, chained to the last and signed if the journal has a signer."""
        head = self.head()
        signer = self._signer
        columns: dict[str, Any] = {name: getattr(entry, name) for name in _ENTRY_COLUMNS}
        columns |= {
            "sequence": head.sequence + 1,
            "time": self.now.isoformat(timespec="microseconds"),
            "details": canonical(entry.details),
            "previous": head.digest,
            "signed_by": signer.name if signer else None,
        }
        if entry.kind == "proposed":
            columns["proposal"] = self._next_proposal()
        digest = seal(columns)
        row = Row(**columns, digest=digest, signature=signer.sign(digest) if signer else None)
        self._connection.execute(JOURNAL.insert(), row.columns())
        self.added.append(row)
        return row

    def _next_proposal(self) -> int:
        """The number of the next proposal: that of its row, the rows of looks not counted."""
        query = sa.select(sa.func.count()).where(JOURNAL.c.kind.not_in(LOOK_KINDS))
        return int(self._connection.scalar(query) or 0) + 1


def _utc_now() -> datetime:
    return datetime.now(UTC)
