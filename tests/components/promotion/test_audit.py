"""History is complete and fast to ask; whatever is done to it behind the journal's back is found and named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from components.core.errors import ConflictError, DetentError, IntegrityError, RefusedError
from components.promotion.anchors import Head
from components.promotion.audit import Verification, adopt_head, history, status, verify
from components.promotion.journal import ANCHOR_FILE, Journal
from components.promotion.promotions import RollbackRequest, rollback
from components.promotion.rows import ROW_COLUMNS, Row, seal
from tests.components.promotion.cast import Story, file_anchor, ignore, open_story

NUM_ROWS = 9
Tamper = Callable[[sqlite3.Connection], object]


def tell(story: Story) -> None:
    """Nine rows: two promotions, a rollback, and a proposal that waits for a second person."""
    story.release("a")
    story.release("b", "a")
    request = RollbackRequest(workload="products", catalog="grocery", reason="chairs broke")
    rollback(story.desk, request, actor=story.rita, reverify=ignore)
    story.propose("c", "a", num_approvers=2)
    story.propose("d", "a")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("original")
    story = open_story(f"sqlite:///{home / 'journal.db'}", home)
    tell(story)
    with story.journal.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    story.close()
    yield home


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Callable[[], Path]:
    counter = iter(range(10_000))

    def make() -> Path:
        home = tmp_path / str(next(counter))
        home.mkdir()
        for name in ("journal.db", ANCHOR_FILE):
            shutil.copy(original / name, home / name)
        return home

    return make


def verify_tampered(home: Path, tamper: Tamper) -> Verification:
    connection = sqlite3.connect(home / "journal.db", isolation_level=None)
    for verb in ("update", "delete"):
        connection.execute(f"DROP TRIGGER detent_journal_no_{verb}")
    tamper(connection)
    connection.close()
    journal = Journal.open(f"sqlite:///{home / 'journal.db'}", home=home)
    outcome = verify(journal)
    journal.close()
    return outcome


def read_rows(connection: sqlite3.Connection) -> list[Row]:
    query = f"SELECT {', '.join(ROW_COLUMNS)} FROM detent_journal ORDER BY sequence"
    return [Row._make(row) for row in connection.execute(query)]


def write_row(connection: sqlite3.Connection, row: Row) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR REPLACE INTO detent_journal ({', '.join(ROW_COLUMNS)}) VALUES ({marks})", row)


def reseal(row: Row, **changed: Any) -> Row:
    row = row._replace(**changed)
    return row._replace(digest=seal(row.columns()))


def test_an_untouched_history_verifies(story: Story) -> None:
    tell(story)
    outcome = verify(story.journal)
    assert (outcome.ok, outcome.num_rows, outcome.notes) == (True, NUM_ROWS, ("0 of 9 rows are signed",))


def test_history_is_in_order_and_can_be_narrowed(story: Story) -> None:
    tell(story)
    assert [row.sequence for row in history(story.journal)] == list(range(1, NUM_ROWS + 1))
    assert [row.sequence for row in history(story.journal, limit=2)] == [8, 9]
    assert [row.reason for row in history(story.journal, kind="rolled_back")] == ["chairs broke"]
    assert history(story.journal, workload="palms") == []
    last = history(story.journal, kind="promoted")[-1]
    assert (last.actor, last.from_model, last.to_model) == ("eve", "a" * 64, "b" * 64)
    assert (last.decision, last.to_json()["details"]["digests"]["evaluation_set"]) == ("d" * 64, "e" * 64)


def test_status_shows_champions_and_what_waits(story: Story) -> None:
    tell(story)
    found = status(story.journal)
    assert [champion.version for champion in found.champions] == ["a"]
    assert [(item.candidate.version, item.num_missing_approvals) for item in found.proposals] == [("c", 2), ("d", 1)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sequence=st.integers(1, NUM_ROWS),
    column=st.sampled_from([name for name in ROW_COLUMNS if name != "sequence"]),
    value=st.one_of(st.none(), st.integers(0, 2**40), st.text(max_size=8), st.binary(max_size=8)),
)
def test_any_altered_value_is_found_and_its_row_named(
    copy: Callable[[], Path], sequence: int, column: str, value: object
) -> None:
    home = copy()
    changed = False

    def alter(connection: sqlite3.Connection) -> None:
        nonlocal changed
        before = read_rows(connection)[sequence - 1]
        try:
            connection.execute(f"UPDATE detent_journal SET {column} = ? WHERE sequence = ?", (value, sequence))
        except sqlite3.IntegrityError:
            return
        changed = read_rows(connection)[sequence - 1] != before

    outcome = verify_tampered(home, alter)
    assert outcome.ok is not changed
    assert not changed or (outcome.fault and outcome.fault.sequence == sequence)


@pytest.mark.parametrize("sequence", range(1, NUM_ROWS + 1))
def test_any_deleted_row_is_named_the_last_included(copy: Callable[[], Path], sequence: int) -> None:
    outcome = verify_tampered(
        copy(), lambda db: db.execute("DELETE FROM detent_journal WHERE sequence = ?", (sequence,))
    )
    assert outcome.fault and outcome.fault.sequence == sequence
    assert "is missing" in outcome.fault.message


def test_a_deleted_journal_is_found(copy: Callable[[], Path]) -> None:
    home = copy()
    (home / "journal.db").unlink()
    journal = Journal.open(f"sqlite:///{home / 'journal.db'}", home=home)
    fault = verify(journal).fault
    assert fault and fault.sequence == 1
    journal.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=st.lists(st.integers(1, NUM_ROWS), min_size=2, max_size=2, unique=True).map(sorted))
def test_reordered_rows_are_found(copy: Callable[[], Path], pair: list[int]) -> None:
    first, second = pair

    def swap(connection: sqlite3.Connection) -> None:
        statement = "UPDATE detent_journal SET sequence = ? WHERE sequence = ?"
        for new, old in ((1000, first), (first, second), (second, 1000)):
            connection.execute(statement, (new, old))

    fault = verify_tampered(copy(), swap).fault
    assert fault and fault.sequence == first


def test_a_well_formed_row_appended_out_of_band_is_found(copy: Callable[[], Path]) -> None:
    def append(connection: sqlite3.Connection) -> None:
        last = read_rows(connection)[-1]
        write_row(
            connection, reseal(last, sequence=NUM_ROWS + 1, previous=last.digest, kind="approved", actor="mallory")
        )

    fault = verify_tampered(copy(), append).fault
    assert fault and fault.sequence == NUM_ROWS + 1
    assert "added behind the anchor's back" in fault.message


def test_a_row_rewritten_with_a_right_digest_is_named(copy: Callable[[], Path]) -> None:
    def rewrite(connection: sqlite3.Connection) -> None:
        write_row(connection, reseal(read_rows(connection)[4], actor="mallory"))

    fault = verify_tampered(copy(), rewrite).fault
    assert fault and fault.sequence == 5


def test_a_whole_chain_rewritten_contradicts_the_anchor(copy: Callable[[], Path]) -> None:
    def rewrite(connection: sqlite3.Connection) -> None:
        rows = read_rows(connection)
        previous = rows[0]
        for row in rows[1:]:
            changed = {"actor": "mallory"} if row.sequence == 2 else {}
            previous = reseal(row, previous=previous.digest, **changed)
            write_row(connection, previous)

    fault = verify_tampered(copy(), rewrite).fault
    assert fault and fault.sequence == NUM_ROWS
    assert "alone or with rows before it" in fault.message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "promoted"}, "without the approvals"),
        ({"kind": "rolled_back", "to_model": "9" * 64}, "never promoted here"),
        ({"kind": "promoted", "generation": 5}, "does not follow"),
        ({"kind": "promoted", "from_model": "9" * 64}, "does not follow"),
    ],
)
def test_a_champion_that_could_not_have_been_is_found_though_every_digest_is_right(
    copy: Callable[[], Path], changed: dict[str, Any], message: str
) -> None:
    home = copy()

    def forge(connection: sqlite3.Connection) -> None:
        rows = read_rows(connection)
        details = next(row for row in rows if row.kind == "promoted").details
        last, champion = rows[-1], rows[6]
        forged = {"generation": 4, "from_model": champion.to_model, "details": details, **changed}
        row = reseal(last, sequence=NUM_ROWS + 1, previous=last.digest, **forged)
        write_row(connection, row)
        (home / ANCHOR_FILE).write_text(
            f'{{"head": {{"sequence": {row.sequence}, "digest": "{row.digest}"}}, "pending": null}}'
        )

    fault = verify_tampered(home, forge).fault
    assert fault and fault.sequence == NUM_ROWS + 1
    assert message in fault.message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.078125, bit=7)  # the schema's own text is no longer UTF-8
def test_a_flipped_bit_anywhere_in_the_file_is_found_or_harmless(
    original: Path, copy: Callable[[], Path], place: float, bit: int
) -> None:
    home = copy()
    data = bytearray((home / "journal.db").read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (home / "journal.db").write_bytes(data)
    with sqlite3.connect(original / "journal.db") as connection:
        rows = read_rows(connection)
    connection.close()
    try:
        journal = Journal.open(f"sqlite:///{home / 'journal.db'}", home=home)
    except DetentError:
        return  # refused to open: found
    if verify(journal).ok:
        assert history(journal) == rows
    journal.close()


@pytest.mark.parametrize("statement", ["UPDATE detent_journal SET actor = 'mallory'", "DELETE FROM detent_journal"])
def test_the_store_refuses_accidents(story: Story, statement: str) -> None:
    tell(story)
    with (
        pytest.raises((sa.exc.DBAPIError), match="append-only"),
        story.journal.engine.execution_options(detent_writes=True).begin() as connection,
    ):
        connection.exec_driver_sql(statement)


def test_tampering_is_found_on_postgresql_too(postgres_url: str, tmp_path: Path) -> None:
    story = open_story(postgres_url, tmp_path)
    tell(story)
    with story.journal.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER detent_journal_append_only ON detent_journal")
        connection.exec_driver_sql("UPDATE detent_journal SET reason = 'as agreed' WHERE sequence = 5")
        connection.exec_driver_sql("DELETE FROM detent_journal WHERE sequence = 9")
    fault = verify(story.journal).fault
    assert fault and (fault.sequence, fault.message[:11]) == (5, "was altered")
    with story.journal.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE detent_journal SET reason = 'looks right' WHERE sequence = 5")
    fault = verify(story.journal).fault
    assert fault and fault.sequence == 9
    story.close()


def test_a_row_that_cannot_be_read_is_named(copy: Callable[[], Path]) -> None:
    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE detent_journal SET actor = CAST(x'ff' AS TEXT) WHERE sequence = 4")

    fault = verify_tampered(copy(), spoil).fault
    assert fault and fault.sequence == 4
    assert "cannot be read" in fault.message


def test_nothing_is_written_upon_a_tampered_end(copy: Callable[[], Path]) -> None:
    home = copy()
    verify_tampered(home, lambda db: db.execute("DELETE FROM detent_journal WHERE sequence = 9"))
    story = open_story(f"sqlite:///{home / 'journal.db'}", home)
    with pytest.raises(IntegrityError, match=r"nothing was written\. Run `detent verify`"):
        story.propose("e", "a")
    story.close()


def test_an_extra_anchor_finds_what_the_main_anchor_was_made_to_hide(copy: Callable[[], Path]) -> None:
    home = copy()
    journal = Journal.open(f"sqlite:///{home / 'journal.db'}", home=home)
    anchor = file_anchor(home)
    assert verify(journal, extra_anchors=[anchor]).notes[-1] == "anchor elsewhere holds nothing yet"
    anchor.publish(journal.settle())
    assert verify(journal, extra_anchors=[anchor]).ok
    anchor.publish(Head(sequence=5, digest="0" * 64))
    fault = verify(journal, extra_anchors=[anchor]).fault
    assert fault and fault.sequence == 5
    journal.close()


def test_a_lost_anchor_is_a_fault_until_an_auditor_adopts_the_head(story: Story) -> None:
    tell(story)
    (story.home / ANCHOR_FILE).unlink()
    fault = verify(story.journal).fault
    assert fault and "the anchor is missing" in fault.message
    with pytest.raises(IntegrityError, match="knows nothing"):
        story.propose("e", "a")
    with pytest.raises(RefusedError):
        adopt_head(story.journal, actor=story.rita, reason="moved house")
    assert adopt_head(story.journal, actor=story.amy, reason="moved house").ok
    last = history(story.journal)[-1]
    assert (last.kind, last.actor, last.reason) == ("anchored", "amy", "moved house")
    assert story.propose("e", "a").state == "open"


def test_a_broken_chain_cannot_be_adopted(copy: Callable[[], Path]) -> None:
    home = copy()
    verify_tampered(home, lambda db: db.execute("UPDATE detent_journal SET actor = 'x' WHERE sequence = 3"))
    story = open_story(f"sqlite:///{home / 'journal.db'}", home)
    with pytest.raises(IntegrityError, match="row 3 is wrong"):
        adopt_head(story.journal, actor=story.amy, reason="never mind")
    story.close()


def test_the_head_adopted_is_the_head_that_was_verified(story: Story) -> None:
    tell(story)
    with pytest.raises(ConflictError, match="grew while it was verified"):
        story.journal.adopt(Head(sequence=3, digest="0" * 64), None)  # type: ignore[arg-type]
