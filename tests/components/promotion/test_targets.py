"""A target has a champion of its own: every verb keeps to its key, and no key's rows serve another's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from components.core.champions import ChampionKey, Pointer
from components.core.errors import ConflictError, StateError
from components.core.files import read_json
from components.promotion.audit import history, status, verify
from components.promotion.promotions import RollbackRequest, promote, rollback
from components.promotion.reconciliation import reconcile
from components.promotion.rows import seal
from tests.components.promotion.cast import Story, ignore, pointer_path

MAIN, PHONE = ChampionKey("products", "grocery"), ChampionKey("products", "grocery", "phone")


def test_a_target_and_the_main_champion_do_not_touch_one_another(story: Story) -> None:
    phone = replace(story, target="phone")
    story.release("a")
    phone.release("p")
    story.release("b", "a")
    phone.release("q", "p")
    shown = {champion.key: (champion.version, champion.generation) for champion in status(story.journal).champions}
    assert shown == {MAIN: ("b", 2), PHONE: ("q", 2)}
    assert story.alias.shown.keys() == {MAIN, PHONE}
    folder = pointer_path(story.home, MAIN).parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "products--grocery--phone.json",
        "products--grocery.json",
    ]
    assert read_json(folder / "products--grocery--phone.json")["key"] == list(PHONE)
    assert verify(story.journal).ok


def test_a_candidate_for_a_target_is_held_against_its_own_champion(story: Story) -> None:
    phone = replace(story, target="phone")
    story.release("a")
    with pytest.raises(ConflictError, match="champion of products / grocery for phone is none now"):
        phone.propose("p", "a")
    phone.release("p")
    with pytest.raises(StateError, match="champion already"):
        phone.propose("p", "p")
    assert story.propose("p", "a").state == "open", "what the phone runs may become the main champion too"


def test_the_same_candidate_waits_once_for_each_key(story: Story) -> None:
    phone = replace(story, target="phone")
    first, second = story.propose("a"), phone.propose("a")
    assert first.number != second.number and (first.key, second.key) == (MAIN, PHONE)
    assert phone.propose("a").number == second.number
    assert [notice.title for notice in story.notices[:2]] == [
        "proposed #1: products / grocery, by eve",
        "proposed #2: products / grocery for phone, by eve",
    ]


def test_a_new_main_champion_voids_nothing_of_a_target(story: Story) -> None:
    phone = replace(story, target="phone")
    phone.release("p")
    waiting = phone.propose_approved("q", "p").number
    story.release("a")
    made = promote(phone.desk, waiting, actor=phone.eve, current=phone.digests("q"))
    assert (made.champion.key, made.champion.version) == (PHONE, "q")


def test_a_target_is_rolled_back_alone(story: Story) -> None:
    phone = replace(story, target="phone")
    story.release("a")
    phone.release("p")
    phone.release("q", "p")
    request = RollbackRequest(**PHONE._asdict(), reason="boxes broke", expected=phone.champion().sequence)
    for _ in range(2):
        done = rollback(story.desk, request, actor=story.rita, reverify=ignore)
        assert (done.champion.key, done.champion.version) == (PHONE, "p")
    assert story.champion().version == "a" and verify(story.journal).ok
    assert [row.kind for row in history(story.journal, target="phone")][-1] == "rolled_back"
    assert {row.target for row in history(story.journal, target="")} == {""}
    with pytest.raises(StateError, match="products / grocery for watch has no champion"):
        rollback(story.desk, replace(request, target="watch"), actor=story.rita, reverify=ignore)
    with pytest.raises(StateError, match="products / grocery cannot go back"):
        rollback(story.desk, replace(request, target="", expected=None), actor=story.rita, reverify=ignore)


def test_reconcile_mends_the_mirrors_of_every_target(story: Story) -> None:
    phone = replace(story, target="phone")
    story.release("a")
    phone.release("p")
    pointer_path(story.home, PHONE).unlink()
    del story.alias.shown[PHONE]
    found = reconcile(story.desk, actor=story.eve)
    assert {item.key for item in found.projected if item.outcome == "written"} == {PHONE} and found.agrees
    assert phone.pointer() == story.alias.shown[PHONE] == Pointer(model="p" * 64, sequence=6)


def test_a_name_that_two_keys_would_share_is_reported(story: Story) -> None:
    """A catalogue called grocery--phone was there first; its pointer is left alone."""
    other = replace(story, catalog="grocery--phone")
    other.release("a")
    before = other.pointer()
    made = replace(story, target="phone").release("p")
    (failed,) = [item for item in made.projected if item.outcome == "failed"]
    assert (failed.name, "rename the target" in failed.message) == ("bento", True)
    assert other.pointer() == before


def rewrite(story: Story, sequence: int, **changed: object) -> None:
    """Alter one row and make its digest again, as somebody would who can write the database."""
    trigger = {
        "sqlite": ["DROP TRIGGER detent_journal_no_update"],
        "postgresql": ["ALTER TABLE detent_journal DISABLE TRIGGER detent_journal_append_only"],
    }
    with story.journal.engine.execution_options(detent_writes=True).begin() as connection:
        for statement in trigger[connection.dialect.name]:
            connection.exec_driver_sql(statement)
        (row,) = connection.execute(sa.text(f"SELECT * FROM detent_journal WHERE sequence = {sequence}")).mappings()
        made = dict(row) | changed
        made["digest"] = seal(made)
        sets = ", ".join(f"{name} = :{name}" for name in made)
        connection.execute(sa.text(f"UPDATE detent_journal SET {sets} WHERE sequence = :sequence"), made)


@pytest.mark.parametrize("target", ["", "watch"])
def test_verify_finds_a_promotion_for_another_target_than_was_proposed(story: Story, target: str) -> None:
    replace(story, target="phone").release("p")
    rewrite(story, 3, target=target)
    fault = verify(story.journal).fault
    assert fault is not None and fault.sequence == 3
    assert fault.message.endswith("what was proposed for products / grocery for phone")


def test_a_target_alone_is_part_of_a_rows_digest(story: Story) -> None:
    replace(story, target="phone").release("p")
    with story.journal.reading() as ledger:
        columns = ledger.row(3).columns()
    assert seal(columns) == columns["digest"] != seal(columns | {"target": "watch"}) != seal(columns | {"target": ""})
