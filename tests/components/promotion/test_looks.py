"""The ledger of looks in the journal: one story for SQLite and PostgreSQL, told by the gate's own ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from components.core.errors import IntegrityError, StateError
from components.promotion.audit import verify
from components.promotion.journal import Journal
from components.promotion.looks import JournalStore
from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger.ledger import Ledger, Question

IDS = [f"s{index}" for index in range(50)]
PLAN = SpendingPolicy(planned_looks=4)


@pytest.fixture
def journal(url: str, tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(url, home=tmp_path / "home")
    yield opened
    opened.close()


def open_ledger(journal: Journal, anchor: Path | None, catalog: str = "main") -> Ledger:
    return Ledger(JournalStore(journal, workload="products", catalog=catalog, actor="ann"), anchor)


def question(name: str) -> Question:
    return Question(key=f"key of {name}", candidate=name, champion="old", mode="sealed", content="c")


def never(level: float) -> bool:
    raise AssertionError("a recorded answer must not be computed again")


def test_looks_are_rows_of_the_journal_and_are_verified_with_it(journal: Journal, tmp_path: Path) -> None:
    ledger = open_ledger(journal, tmp_path / "certify.ledger.json")
    first = ledger.ask(question("a"), IDS, PLAN, lambda level: True)
    assert not isinstance(first, str) and first.look.level == pytest.approx(PLAN.alpha * PLAN.first)
    assert ledger.ask(question("a"), IDS, PLAN, never).recorded  # type: ignore[union-attr]
    second = ledger.ask(question("b"), IDS, PLAN, lambda level: False)
    assert not isinstance(second, str) and second.look.number == 2
    found = verify(journal)
    assert found.ok and found.num_rows == 5
    ledger.check()


def test_another_machine_with_the_same_anchor_goes_on(journal: Journal, tmp_path: Path) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    open_ledger(journal, here).ask(question("a"), IDS, PLAN, lambda level: False)
    there.write_bytes(here.read_bytes())
    open_ledger(journal, here).ask(question("b"), IDS, PLAN, lambda level: False)
    answer = open_ledger(journal, there).ask(question("c"), IDS, PLAN, lambda level: False)
    assert not isinstance(answer, str) and answer.look.number == 3
    without = open_ledger(journal, tmp_path / "new clone.json").ask(question("d"), IDS, PLAN, lambda level: False)
    assert not isinstance(without, str) and without.look.number == 4, "the database is the ledger, not the anchor"


def test_an_empty_database_is_no_fresh_budget(journal: Journal, tmp_path: Path) -> None:
    anchor = tmp_path / "certify.ledger.json"
    open_ledger(journal, anchor).ask(question("a"), IDS, PLAN, lambda level: False)
    other = Journal.open(f"sqlite:///{tmp_path / 'elsewhere' / 'journal.db'}", home=tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="not a fresh budget"):
        open_ledger(other, anchor).ask(question("b"), IDS, PLAN, never)
    other.close()


def test_catalogues_of_one_workspace_and_home_have_accounts_of_their_own(journal: Journal, tmp_path: Path) -> None:
    anchor = tmp_path / "certify.ledger.json"
    numbers = []
    for catalog in ("a", "b", "a", "b", "a"):
        ledger = open_ledger(journal, anchor, catalog)
        answer = ledger.ask(question(f"{catalog}{len(numbers)}"), IDS, PLAN, lambda level: False)
        assert not isinstance(answer, str)
        numbers.append(answer.look.number)
    assert numbers == [1, 1, 2, 2, 3]


def test_an_altered_look_is_named(journal: Journal, tmp_path: Path) -> None:
    ledger = open_ledger(journal, tmp_path / "certify.ledger.json")
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    with journal.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER detent_journal_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE detent_journal DISABLE TRIGGER ALL")
        connection.execute(sa.text("UPDATE detent_journal SET details = replace(details, 'false', 'true')"))
    with pytest.raises(IntegrityError, match="of the journal was altered"):
        ledger.standing(IDS, PLAN)
    assert not verify(journal).ok


def test_a_charge_that_its_plan_does_not_give_is_found(journal: Journal) -> None:
    store = JournalStore(journal, workload="products", catalog="main", actor="ann")
    ledger = Ledger(store, None)
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    with store.writing() as writer:
        look = {"kind": "look", "account": 1, "number": 2, "level": 0.009, "key": "k", "mode": "sealed"}
        writer.append(look | {"candidate": "b", "champion": "old", "ids": "", "content": ""})
    with pytest.raises(IntegrityError, match=r"look 2 was charged at level 0\.009"):
        ledger.check()


def test_a_retired_split_stays_closed(journal: Journal, tmp_path: Path) -> None:
    ledger = open_ledger(journal, tmp_path / "certify.ledger.json")
    ledger.ask(question("a"), IDS, PLAN, lambda level: False)
    assert ledger.retire(IDS, reason="worn out")
    assert not ledger.retire(IDS, reason="again")
    with pytest.raises(StateError, match="was retired"):
        ledger.ask(question("b"), IDS, PLAN, never)
    assert len(ledger.exposed()) == 50


def test_two_at_once_never_share_a_look(journal: Journal, tmp_path: Path) -> None:
    plan = SpendingPolicy(planned_looks=40)
    ledger = open_ledger(journal, tmp_path / "certify.ledger.json")
    threads = [
        threading.Thread(target=lambda name=name: ledger.ask(question(name), IDS, plan, lambda level: False))
        for name in "abcdef"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(look.number for look in ledger.looks()) == list(range(1, 7))
    ledger.check()


def test_a_look_answered_after_anothers_promotion_gives_its_level_to_nobody(journal: Journal, tmp_path: Path) -> None:
    """What waits while another look is promoted keeps its level, but a run that is over cannot pay for what follows."""
    ledger = open_ledger(journal, tmp_path / "certify.ledger.json")
    between: list[float] = []

    def slow(level: float) -> bool:
        ledger.ask(question("quick"), IDS, PLAN, lambda _: True)
        between.append(ledger.standing(IDS, PLAN).next_level)
        return True

    answer = ledger.ask(question("slow"), IDS, PLAN, slow)
    assert not isinstance(answer, str)
    assert (answer.look.promoted, answer.look.level) == (True, pytest.approx(PLAN.alpha * PLAN.first))
    assert 0.0 < ledger.standing(IDS, PLAN).account.left <= between[0] < PLAN.alpha * PLAN.first
    ledger.check()


KILLED = """
import os, signal, sys
from pathlib import Path
from components.promotion.journal import Journal
from components.promotion.looks import JournalStore
from components.selection.ledger import ledger
from components.selection.gate.policy import SpendingPolicy
url, home, step = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
journal = Journal.open(url, home=home)
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
steps = {"before": "look: before the commit", "after": "look: after the commit"}
count = 0
def on_step(name):
    global count
    count += name == steps.get(step.split("-")[0])
    if name == steps.get(step.split("-")[0]) and count == int(step.split("-")[1]):
        die()
journal.on_step = on_step
book = ledger.Ledger(JournalStore(journal, workload="products", catalog="main", actor="ann"), home / "anchor.json")
if step == "anchor-1":
    ledger.write_anchor = die
def test(level):
    if step == "test-1":
        die()
    return True
question = ledger.Question(key="k", candidate="a", champion="old", mode="sealed")
print(book.ask(question, ["s1", "s2"], SpendingPolicy(planned_looks=4), test))
"""


@pytest.mark.parametrize("step", ["before-1", "after-1", "anchor-1", "test-1", "before-2", "after-2"])
def test_a_kill_costs_at_most_the_look_and_tells_nothing(sqlite_url: str, tmp_path: Path, step: str) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, sqlite_url, str(home), step]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b""), done.stderr.decode()
    journal = Journal.open(sqlite_url, home=home)
    ledger = open_ledger(journal, home / "anchor.json")
    same = ledger.ask(Question(key="k", candidate="a", champion="old", mode="sealed"), ["s1", "s2"], PLAN, bool)
    assert not isinstance(same, str)
    assert (same.look.number, same.look.promoted, same.recorded) == (1, True, step == "after-2")
    assert len(ledger.looks()) == 1
    ledger.check()
    journal.settle()
    assert verify(journal).ok
    journal.close()
