"""Reconcile repairs every mirror, never puts one back, and says what it ended."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from components.core.champions import Champion, ChampionKey, Pointer
from components.core.errors import IntegrityError, RefusedError
from components.packaging.projection import BentoTag
from components.promotion.anchors import Anchored, Head
from components.promotion.projections import project
from components.promotion.promotions import promote
from components.promotion.reconciliation import Ghost, reconcile
from tests.components.promotion.cast import Story, file_anchor, pointer_path

KEY = ChampionKey("products", "grocery")


def outcomes(story: Story) -> list[str]:
    return [item.outcome for item in reconcile(story.desk, actor=story.eve).projected]


def test_what_agrees_is_left_alone(story: Story) -> None:
    story.release("a")
    assert outcomes(story) == ["current", "current"]
    assert story.alias.num_writes == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"model": 3}', b'{"model": "x", "sequence": 3}', None])
def test_a_lost_damaged_or_moved_pointer_is_repaired(sqlite_story: Story, content: bytes | None) -> None:
    story = sqlite_story
    story.release("a")
    path = pointer_path(story.home, KEY)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    story.alias.shown[KEY] = Pointer(model="f" * 64, sequence=3)
    assert outcomes(story) == ["written", "written"]
    assert story.pointer() == story.alias.shown[KEY] == Pointer(model="a" * 64, sequence=3)


def test_a_later_row_is_never_put_back(story: Story) -> None:
    story.release("a")
    later = Pointer(model="b" * 64, sequence=99)
    story.alias.shown[KEY] = later
    found = reconcile(story.desk, actor=story.eve)
    assert [item.outcome for item in found.projected] == ["current", "fenced"]
    assert (story.alias.shown[KEY], found.agrees) == (later, False)


def test_an_old_reconcile_asleep_before_its_write_puts_nothing_back(story: Story) -> None:
    story.release("a")
    number = story.propose_approved("b", "a").number
    desk, asleep = story.reopen(), threading.Event()

    class Sleepy(BentoTag):
        """A projection whose reconcile falls asleep between its reading and its writing."""

        def read(self, key: ChampionKey) -> Pointer | None:
            return None

        def write(self, champion: Champion) -> None:
            asleep.set()
            time.sleep(0.3)
            super().write(champion)

    sleeper = threading.Thread(
        target=project, args=(desk.journal, KEY, [Sleepy(story.home / "bentoml")]), kwargs={"verb": "late"}
    )
    sleeper.start()
    asleep.wait(10)
    promote(story.desk, number, actor=story.eve, current=story.digests("b"))
    sleeper.join()
    assert story.pointer() == Pointer(model="b" * 64, sequence=6)


def test_a_projection_that_was_down_is_brought_in_line_later(story: Story) -> None:
    story.alias.error = ConnectionError("registry is down")
    story.release("a")
    assert not reconcile(story.desk, actor=story.eve).agrees
    story.alias.error = None
    assert outcomes(story) == ["current", "written"]


def test_a_pending_commit_is_settled(story: Story) -> None:
    story.release("a")
    head = story.journal.settle()
    story.journal.anchor.write(Anchored(head=Head(sequence=2, digest="0" * 64), pending=head))
    reconcile(story.desk, actor=story.eve)
    assert story.journal.anchor.read() == Anchored(head=head)


def test_a_head_that_the_anchor_does_not_know_stops_it(story: Story) -> None:
    story.release("a")
    story.journal.anchor.write(Anchored(head=Head(sequence=9, digest="0" * 64)))
    with pytest.raises(IntegrityError, match="the journal ends in row 3"):
        reconcile(story.desk, actor=story.eve)


def test_overdue_and_approved_proposals_are_reported(story: Story) -> None:
    approved = story.propose_approved("a").number
    story.propose("b", expires_after_h=2)
    story.journal.clock = lambda: datetime.now(UTC) + timedelta(hours=3)
    found = reconcile(story.desk, actor=story.eve)
    assert [item.candidate.version for item in found.expired] == ["b"]
    assert [item.number for item in found.approved] == [approved]
    assert found.head.sequence == 4


def test_ghosts_are_reported_and_a_tracker_that_is_down_hides_nothing(story: Story) -> None:
    ghost = Ghost(kind="mlflow run", id="7", name="training", reason="process 12 is dead")

    def down() -> list[Ghost]:
        raise ConnectionError("no answer")

    found = reconcile(story.desk, actor=story.eve, finders=[down, lambda: [ghost]])
    assert (found.ghosts, found.problems) == ((ghost,), ("ghosts were not looked for: no answer",))


def test_extra_anchors_are_published_and_one_that_is_down_is_reported(story: Story) -> None:
    anchor = file_anchor(story.home)

    def down(_: Head) -> None:
        raise ConnectionError("no answer")

    desk = replace(story.desk, extra_anchors=(anchor, replace(anchor, name="far", publish=down)))
    story.release("a")
    found = reconcile(desk, actor=story.eve)
    assert [(item.name, item.outcome) for item in found.projected[-2:]] == [
        ("anchor elsewhere", "written"),
        ("anchor far", "failed"),
    ]
    assert anchor.read() == found.head


def test_auditors_only_read(story: Story) -> None:
    with pytest.raises(RefusedError, match="amy may not reconcile"):
        reconcile(story.desk, actor=story.amy)
