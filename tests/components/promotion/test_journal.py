"""Rows are chained, come all together or not at all, and the champion of a key is what its last row says."""

from __future__ import annotations

import pytest

from components.core.errors import ConflictError, IntegrityError
from components.promotion.anchors import Anchored, Head
from components.promotion.rows import GENESIS, Entry
from tests.components.promotion.cast import Story


def looked(story: Story, kind: str = "look") -> Entry:
    key = story.key._asdict()
    return Entry(kind=kind, actor="eve", reason="", details={"why": kind}, **key)  # type: ignore[arg-type]


def test_rows_are_numbered_and_each_is_chained_to_the_one_before(story: Story) -> None:
    with story.journal.writing("look") as transaction:
        first = transaction.append(looked(story))
        assert transaction.head() == Head(sequence=1, digest=first.digest), "its own rows count"
    with story.journal.writing("look") as transaction:
        second = transaction.append(looked(story, "answer"))
    assert [(row.sequence, row.previous) for row in (first, second)] == [(1, GENESIS), (2, first.digest)]
    with story.journal.reading() as ledger:
        assert ledger.rows() == [first, second] == list(ledger.stream(batch_rows=1))
        assert ledger.last_rows(limit=1) == [second] and ledger.row(1) == first
    assert story.journal.anchor.read() == Anchored(head=Head(sequence=2, digest=second.digest))


def test_a_transaction_that_fails_keeps_none_of_its_rows(story: Story) -> None:
    story.release("1")
    before, anchored = story.kinds(), story.journal.anchor.read()
    with pytest.raises(RuntimeError, match="half way"), story.journal.writing("look") as transaction:
        transaction.append(looked(story))
        raise RuntimeError("half way")
    assert story.kinds() == before and story.journal.anchor.read() == anchored


def test_a_transaction_without_a_row_leaves_the_anchor_alone(sqlite_story: Story) -> None:
    steps: list[str] = []
    sqlite_story.journal.on_step = steps.append
    with sqlite_story.journal.writing("look"):
        pass
    assert sqlite_story.journal.anchor.read() is None and steps == ["look: with the write lock"]


def test_nothing_is_written_upon_an_end_that_the_anchor_does_not_know(sqlite_story: Story) -> None:
    story = sqlite_story
    story.release("1")
    before = story.kinds()
    story.journal.anchor.write(Anchored(head=Head(sequence=9, digest="0" * 64)))
    with pytest.raises(IntegrityError, match=r"ends in row 3, the anchor .* knows row 9"):
        story.release("2", "1")
    assert story.kinds() == before


def test_a_head_that_moved_is_not_adopted(sqlite_story: Story) -> None:
    story = sqlite_story
    with pytest.raises(ConflictError, match="grew while it was verified"):
        story.journal.adopt(Head(sequence=5, digest="1" * 64), looked(story, "anchored"))
    assert story.kinds() == []


def test_the_champion_is_the_last_of_its_key(story: Story) -> None:
    story.release("1")
    story.release("2", "1")
    main = story.key
    story.target = "phone"
    story.release("3")
    with story.journal.reading() as ledger:
        assert [champion.version for champion in ledger.champions(main)] == ["2", "1"]
        assert [champion.generation for champion in ledger.champions(main)] == [2, 1]
        assert ledger.champion_keys() == [main, story.key]
        assert ledger.open_proposals() == []
        assert ledger.champion(main._replace(catalog="other")) is None
    champion = story.journal.champion(story.key)
    assert champion is not None and (champion.version, champion.generation) == ("3", 1)


def test_looks_take_no_number_of_a_proposal(story: Story) -> None:
    with story.journal.writing("look") as transaction:
        transaction.append(looked(story))
        transaction.append(looked(story, "answer"))
    assert story.propose("1").number == 1
    with story.journal.reading() as ledger:
        assert ledger.open_proposals() == [1]
        assert [row.kind for row in ledger.proposal_rows(1)] == ["proposed"]
