"""Keeps a ledger of looks in the journal: its rows are rows of the journal, so one chain and one anchor hold both.

A team that shares a journal shares the budget of its certify splits. The rows of a workload and catalogue are told
apart by their kind; what they say stands in the details, as selection wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from components.core.errors import IntegrityError
from components.promotion.journal import Journal, JournalView, Transaction
from components.promotion.rows import LOOK_KINDS, Entry, Row, seal
from components.promotion.stores import JOURNAL


@dataclass(slots=True)
class LookWriter:
    """Adds rows within one transaction of the journal."""

    transaction: Transaction
    key: tuple[str, str]
    actor: str
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def append(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add one row; it is durable when the transaction ends."""
        workload, catalog = self.key
        entry = Entry(
            kind=row["kind"],
            workload=workload,
            catalog=catalog,
            actor=self.actor,
            reason=_in_words(row),
            from_model=row.get("champion") or None,
            to_model=row.get("candidate"),
            details=row,
        )
        added = _told(self.transaction.append(entry))
        self.rows.append(added)
        return added


class JournalStore:
    """The looks of one workload and catalogue, in the journal; what the journal's anchor knows is witnessed."""

    witnessed = True

    def __init__(self, journal: Journal, *, workload: str, catalog: str, actor: str) -> None:
        self.journal = journal
        self.of = (workload, catalog)
        self.key = f"{workload}/{catalog}"
        self.actor = actor
        self.name = f"the ledger of {workload} / {catalog} in {journal.engine.url.render_as_string()}"

    def read(self) -> list[Mapping[str, Any]]:
        """All rows in order; IntegrityError names the first whose content does not have its digest."""
        with self.journal.reading() as ledger:
            return self._rows(ledger)

    @contextmanager
    def writing(self) -> Iterator[LookWriter]:
        """Rows added inside are kept all together or not at all."""
        with self.journal.writing("look") as transaction:
            yield LookWriter(transaction, self.of, self.actor, self._rows(transaction))

    def adopt(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Take the rows of an earlier ledger over, in order, unless there are any here; all or none."""
        with self.writing() as writer:
            if writer.rows:
                return False
            for row in rows:
                writer.append({**row, "was": row["digest"]})
        return True

    def _rows(self, ledger: JournalView) -> list[Mapping[str, Any]]:
        where: list[sa.ColumnElement[bool]] = [JOURNAL.c.workload == self.of[0], JOURNAL.c.catalog == self.of[1]]
        return [_told(row) for row in ledger.rows(*where, JOURNAL.c.kind.in_(LOOK_KINDS))]


def _told(row: Row) -> Mapping[str, Any]:
    if seal(row.columns()) != row.digest:
        raise IntegrityError(
            f"row {row.sequence} of the journal was altered; run `detent verify`, and restore the journal from a backup"
        )
    return {**row.read_details(), "kind": row.kind, "digest": row.digest}


def _in_words(row: Mapping[str, Any]) -> str:
    kind = row["kind"]
    if kind == "split":
        return f"a certify split of {row['num_ids']} samples, {'new' if row['fresh'] else 'the same account goes on'}"
    if kind == "look":
        return f"look {row['number']} at the certify split, charged at level {row['level']:.3g}"
    if kind == "answer":
        return f"look {row['number']}: {'promoted' if row['promoted'] else 'not promoted'}"
    if kind == "exposed":
        return f"{row['num_ids']} samples stand in train or search, so they certify nothing"
    return str(row["reason"])
