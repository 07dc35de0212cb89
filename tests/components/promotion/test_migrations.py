"""A journal of schema 1 goes on: no row is lost or made again, whoever opens it first and whatever kills it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from components.core.champions import ChampionKey
from components.core.errors import IntegrityError, StorageError
from components.promotion.audit import verify
from components.promotion.journal import Journal
from components.promotion.migrations import _STEPS
from components.promotion.promotions import promote
from components.promotion.stores import JOURNAL, SCHEMA_VERSION, open_engine
from tests.components.promotion.cast import Story, open_story, run_child
from tests.components.promotion.stored import NOW, PUBLIC_KEYS, restore

GROCERY = ChampionKey("products", "grocery")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def open_stored(url: str, home: Path) -> Story:
    story = open_story(url, home)
    story.journal.clock = lambda: NOW
    return story


def shape(engine: sa.Engine) -> dict[str, Any]:
    """What a store knows of the journal's table: columns, uniqueness, indices and triggers."""
    found = sa.inspect(engine)
    triggers = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = "
        "'detent_journal'::regclass",
    }[engine.dialect.name]
    with engine.connect() as connection:
        return {
            "tables": sorted(found.get_table_names()),
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(JOURNAL.name)
            ],
            "key": found.get_pk_constraint(JOURNAL.name)["constrained_columns"],
            "unique": [item["column_names"] for item in found.get_unique_constraints(JOURNAL.name)],
            "indices": sorted(
                (item["name"], item["column_names"])
                for item in found.get_indexes(JOURNAL.name)
                if not item.get("duplicates_constraint")
            ),
            "triggers": sorted(map(tuple, connection.exec_driver_sql(triggers))),
            "version": connection.exec_driver_sql("SELECT version FROM detent_journal_schema").scalars().all(),
        }


def test_every_row_comes_through_and_the_chain_holds(url: str, home: Path) -> None:
    stored = restore(url, home)
    story = open_stored(url, home)
    with story.journal.reading() as ledger:
        assert [row.columns() for row in ledger.rows()] == [row | {"target": ""} for row in stored]
        assert ledger.champion_keys() == [GROCERY, ChampionKey("products", "office")]
    found = verify(story.journal, public_keys=PUBLIC_KEYS)
    assert (found.ok, found.num_rows, found.notes) == (True, len(stored), ("2 of 16 rows are signed",))
    champion = story.journal.champion(GROCERY)
    assert champion is not None and (champion.version, champion.sequence, champion.origin) == ("a", 7, 3)
    story.close()


def test_what_waited_goes_on(url: str, home: Path) -> None:
    """A proposal without a code digest is promoted by a Detent that knows the code; then it can be rolled back."""
    restore(url, home)
    story = open_stored(url, home)
    digests = story.digests("e", "a", code="1" * 64)
    promoted = promote(story.desk, 15, actor=story.rob, current=digests)  # eve signed once, so she must sign
    assert (promoted.champion.version, promoted.champion.generation) == ("e", 4)
    assert story.pointer() is not None and verify(story.journal).ok
    story.close()


def test_the_table_is_what_a_new_one_would_be(url: str, home: Path, request: pytest.FixtureRequest) -> None:
    restore(url, home)
    migrated = open_engine(url)
    before = shape(migrated)
    with migrated.execution_options(detent_writes=True).begin() as connection:
        connection.exec_driver_sql("DROP TABLE detent_journal")
        connection.exec_driver_sql("DROP TABLE detent_journal_schema")
        if migrated.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP FUNCTION detent_journal_refuse")
    migrated.dispose()
    new = open_engine(url)
    assert shape(new) == before and before["version"] == [SCHEMA_VERSION]
    new.dispose()


def test_rows_stay_as_they_are_after_it(url: str, home: Path) -> None:
    restore(url, home)
    engine = open_engine(url)
    for statement in ("UPDATE detent_journal SET target = 'phone'", "DELETE FROM detent_journal"):
        with (
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            engine.execution_options(detent_writes=True).begin() as connection,
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_row_that_was_altered_before_is_still_found(url: str, home: Path) -> None:
    rows = restore(f"sqlite:///{home / 'read.db'}", home)
    rows[5] = rows[5] | {"to_model": "0" * 64}
    restore(url, home, rows=rows)
    journal = Journal.open(url, home=home)
    fault = verify(journal).fault
    assert fault is not None and fault.sequence == 6 and "was altered" in fault.message
    journal.close()


def _kill_before_statement(number: int, url: str) -> None:
    """Open the journal, and die at the migration's statement of this number (one past the last: at the version)."""
    seen = 0

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def _count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal seen
        if statement.startswith(("DROP", "ALTER", "CREATE", "INSERT", "UPDATE")):
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    open_engine(url)


def test_killed_anywhere_it_is_the_old_schema_or_the_new(url: str, home: Path) -> None:
    """Each kill leaves schema 1 whole; the next command migrates it."""
    stored = restore(url, home)
    for number in range(len(_STEPS[1][sa.make_url(url).get_backend_name()]) + 1):
        assert run_child(partial(_kill_before_statement, number, url)) == -signal.SIGKILL
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT version FROM detent_journal_schema").scalar() == 1
            assert connection.exec_driver_sql("SELECT count(*) FROM detent_journal").scalar() == len(stored)
        engine.dispose()
    journal = Journal.open(url, home=home)
    assert verify(journal, public_keys=PUBLIC_KEYS).ok
    journal.close()


def _open_at_once(url: str, home: str, barrier: Any) -> None:
    barrier.wait(60)
    journal = Journal.open(url, home=Path(home))
    assert verify(journal).ok
    journal.close()


def test_processes_that_open_it_at_once_migrate_it_once(url: str, home: Path) -> None:
    restore(url, home)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    workers = [context.Process(target=_open_at_once, args=(url, str(home), barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    journal = Journal.open(url, home=home)
    assert verify(journal).num_rows == 16
    journal.close()


def test_a_file_that_cannot_be_written_is_named_and_left_alone(sqlite_url: str, home: Path) -> None:
    restore(sqlite_url, home)
    path = home / "journal.db"
    before = path.read_bytes()

    @sa.event.listens_for(sa.Engine, "connect")
    def _limit(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA query_only=ON")

    try:
        with pytest.raises((StorageError, IntegrityError), match="cannot write the journal"):
            Journal.open(sqlite_url, home=home)
    finally:
        sa.event.remove(sa.Engine, "connect", _limit)
    assert path.read_bytes()[100:] == before[100:], "the header apart, which says WAL"
    journal = Journal.open(sqlite_url, home=home)
    assert verify(journal).ok
    journal.close()
