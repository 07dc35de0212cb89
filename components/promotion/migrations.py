"""Brings a journal's table from an earlier schema to the present one, within the transaction that is open.

The statements are written out, not made from the table's present definition, which goes on changing. Nothing is
kept unless the transaction is committed, so a kill leaves the earlier schema, and rows keep their digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection

_ROWS_OF_1 = (
    "sequence, kind, workload, catalog, actor, time, reason, proposal, generation, from_model, to_model, decision, "
    "details, previous, signed_by, digest, signature"
)
_REFUSE = "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
# SQLite cannot change a constraint in place, so the table is made anew
_TO_2_SQLITE = (
    "DROP TRIGGER IF EXISTS detent_journal_no_update",
    "DROP TRIGGER IF EXISTS detent_journal_no_delete",
    "DROP INDEX IF EXISTS detent_journal_proposal",
    "DROP INDEX IF EXISTS detent_journal_kind",
    "ALTER TABLE detent_journal RENAME TO detent_journal_of_schema_1",
    """CREATE TABLE detent_journal (
        sequence INTEGER NOT NULL,
        kind TEXT NOT NULL,
        workload TEXT NOT NULL,
        catalog TEXT NOT NULL,
        actor TEXT NOT NULL,
        time TEXT NOT NULL,
        reason TEXT NOT NULL,
        proposal INTEGER,
        generation INTEGER,
        from_model TEXT,
        to_model TEXT,
        decision TEXT,
        details TEXT NOT NULL,
        previous TEXT NOT NULL,
        signed_by TEXT,
        digest TEXT NOT NULL,
        signature TEXT,
        target TEXT DEFAULT '' NOT NULL,
        PRIMARY KEY (sequence),
        UNIQUE (workload, catalog, target, generation)
    )""",
    f"INSERT INTO detent_journal ({_ROWS_OF_1}) SELECT {_ROWS_OF_1} FROM detent_journal_of_schema_1 ORDER BY sequence",
    "DROP TABLE detent_journal_of_schema_1",
    "CREATE INDEX detent_journal_proposal ON detent_journal (proposal)",
    "CREATE INDEX detent_journal_kind ON detent_journal (kind, sequence)",
    f"CREATE TRIGGER detent_journal_no_update BEFORE update ON detent_journal {_REFUSE}",
    f"CREATE TRIGGER detent_journal_no_delete BEFORE delete ON detent_journal {_REFUSE}",
)
_TO_2_POSTGRESQL = (
    "ALTER TABLE detent_journal ADD COLUMN target TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE detent_journal DROP CONSTRAINT detent_journal_workload_catalog_generation_key",
    "ALTER TABLE detent_journal ADD UNIQUE (workload, catalog, target, generation)",
)
_STEPS: Mapping[int, Mapping[str, Sequence[str]]] = {
    1: {"sqlite": _TO_2_SQLITE, "postgresql": _TO_2_POSTGRESQL},
}


def migrate(connection: Connection, version: int) -> None:
    """Bring the table from this schema to the newest, one schema at a time; the caller records the new version."""
    for step in range(version, max(_STEPS) + 1):
        for statement in _STEPS[step][connection.dialect.name]:
            connection.exec_driver_sql(statement)
