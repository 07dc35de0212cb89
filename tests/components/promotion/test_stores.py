"""Both stores open the same way; what they refuse comes out in words, and nothing is half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from components.core.errors import ConfigError, ConflictError, StateError, StorageError, UnavailableError
from components.promotion import stores
from components.promotion.audit import verify
from components.promotion.journal import Journal
from components.promotion.stores import JOURNAL, store_errors
from tests.components.promotion.cast import Story


@pytest.mark.parametrize(
    "address", ["nonsense", "sqlite://", "mysql://root@localhost/x", "postgresql://root@localhost/x"]
)
def test_other_addresses_are_refused_with_the_allowed_ones(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use sqlite:///PATH or postgresql"):
        Journal.open(address, home=tmp_path)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    address = "postgresql+psycopg://root:secret@127.0.0.1:1/x?connect_timeout=2"
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        Journal.open(address, home=tmp_path)
    assert "secret" not in str(caught.value)


def test_the_environment_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETENT_HOME", str(tmp_path / "here"))
    monkeypatch.delenv("DETENT_JOURNAL_URL", raising=False)
    Journal.open().close()
    assert (tmp_path / "here" / "journal.db").is_file()
    monkeypatch.setenv("DETENT_JOURNAL_URL", f"sqlite:///{tmp_path / 'there.db'}")
    Journal.open().close()
    assert (tmp_path / "there.db").is_file()


def test_opening_again_changes_nothing(story: Story) -> None:
    story.release("a")
    story.reopen()
    assert story.champion() is not None


def test_a_newer_schema_is_refused(story: Story) -> None:
    with story.journal.engine.execution_options(detent_writes=True).begin() as connection:
        connection.exec_driver_sql("UPDATE detent_journal_schema SET version = 9")
    with pytest.raises(StateError, match="schema 9"):
        story.reopen()


def test_no_champion_has_two_successors_whatever_lock_failed(story: Story) -> None:
    story.release("a")
    with story.journal.reading() as ledger:
        row = ledger.rows()[-1]
    with (
        pytest.raises(ConflictError, match="another writer"),
        store_errors(story.journal.engine.url),
        story.journal.engine.execution_options(detent_writes=True).begin() as connection,
    ):
        connection.execute(JOURNAL.insert(), row.columns() | {"sequence": 4})


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("PRAGMA query_only=ON", "readonly"), ("PRAGMA max_page_count=1", "disk is full")],
)
def test_a_full_disk_or_a_read_only_file_leaves_nothing_half_written(
    sqlite_story: Story, pragma: str, message: str
) -> None:
    story = sqlite_story
    story.release("a")
    before = story.kinds()
    story.journal.close()

    @sa.event.listens_for(story.journal.engine, "connect")
    def _limit(connection: Any, _record: Any) -> None:
        connection.execute(pragma)

    with pytest.raises(StorageError, match=f"cannot write the journal .*{message}.*nothing was half-written"):
        for number in range(200):
            story.propose(f"{number % 10}", "a", name=f"{'x' * 3000}{number}")
            story.propose(f"{'bcdef'[number % 5]}{number}", "a", name="y" * 3000)
    sa.event.remove(story.journal.engine, "connect", _limit)
    story.journal.close()
    after = story.kinds()
    assert after[: len(before)] == before
    assert verify(story.journal).ok
    assert story.propose("z", "a").state == "open"


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*file"):
        Journal.open(home=tmp_path / "file" / "home")


def test_an_anchor_that_cannot_be_written_stops_the_commit(story: Story) -> None:
    story.release("a")
    (story.home / "journal.head.json").unlink()
    (story.home / "journal.head.json").mkdir()
    with pytest.raises((StorageError, OSError)):
        story.propose("b", "a")
    assert story.kinds() == ["proposed", "approved", "promoted"]


def test_a_lock_that_is_kept_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LOCK_TIMEOUT_S", 0.1)
    with (
        stores.file_lock(tmp_path / "x.lock"),
        pytest.raises(StateError, match=r"x\.lock stayed locked"),
        stores.file_lock(tmp_path / "x.lock"),
    ):
        pass
