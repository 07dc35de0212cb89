"""Promotion is exactly-once; rollback is verified first, on record, and safe to repeat."""

from __future__ import annotations

from typing import Any

import pytest

from components.core.champions import Champion, ChampionKey
from components.core.errors import ConflictError, IntegrityError, RefusedError, StateError
from components.promotion.audit import history
from components.promotion.promotions import RollbackRequest, promote, rollback
from tests.components.promotion.cast import Story


def accept(_: Champion) -> None:
    """A verification that finds nothing wrong."""


def request(**given: Any) -> RollbackRequest:
    return RollbackRequest(**{"workload": "products", "catalog": "grocery", "reason": "chairs broke", **given})


def test_the_first_promotion_bootstraps_and_reaches_every_projection(story: Story) -> None:
    promotion = story.release("a")
    champion = promotion.champion
    assert (champion.version, champion.generation, champion.sequence) == ("a", 1, 3)
    assert [result.outcome for result in promotion.projected] == ["written", "written"]
    assert story.pointer() == story.alias.read(story.key)
    assert story.pointer().sequence == champion.sequence


def test_promoting_twice_adds_nothing(story: Story) -> None:
    first = story.release("a")
    again = promote(story.desk, 1, actor=story.eve, current=story.digests("a"))
    assert again.champion == first.champion
    assert story.kinds().count("promoted") == 1
    assert [result.outcome for result in again.projected] == ["current", "current"]


def test_a_promotion_that_was_followed_is_not_repeated(story: Story) -> None:
    story.release("a")
    story.release("b", "a")
    with pytest.raises(StateError, match="--to 3"):
        promote(story.desk, 1, actor=story.eve, current=story.digests("a"))
    assert story.pointer().model == story.digests("b").model


def test_of_two_approved_proposals_one_wins_and_the_other_is_told(story: Story) -> None:
    story.release("a")
    numbers = [story.propose_approved(model, "a").number for model in "bc"]
    promote(story.desk, numbers[1], actor=story.eve, current=story.digests("c"))
    with pytest.raises(ConflictError, match="is void, its approvals too: champion was"):
        promote(story.desk, numbers[0], actor=story.eve, current=story.digests("b"))
    assert story.champion().version == "c"


def test_keys_do_not_disturb_each_other(story: Story) -> None:
    story.release("a")
    assert story.journal.champion(ChampionKey("products", "office")) is None
    assert story.journal.champion(ChampionKey("palms", "grocery")) is None


def test_a_projection_that_fails_is_reported_and_the_promotion_stands(story: Story) -> None:
    story.alias.error = ConnectionError("registry is down")
    promotion = story.release("a")
    assert [(result.name, result.outcome) for result in promotion.projected] == [
        ("bento", "written"),
        ("alias", "failed"),
    ]
    assert "detent reconcile" in promotion.projected[1].message
    assert story.champion().version == "a"


def test_rollback_goes_back_one_model_at_a_time(story: Story) -> None:
    for model, champion in (("a", None), ("b", "a"), ("c", "b")):
        story.release(model, champion)
    seen = []
    back = rollback(story.desk, request(samples=("s1", "s2")), actor=story.rita, reverify=seen.append)
    assert (back.champion.version, seen[0].version, story.pointer().sequence) == ("b", "b", back.champion.sequence)
    assert (back.incident.samples, back.incident.left_model) == (("s1", "s2"), story.digests("c").model)
    row = history(story.journal, kind="rolled_back")[0]
    assert (row.decision, row.read_details()["digests"]["model"]) == ("d" * 64, story.digests("b").model)
    further = rollback(story.desk, request(), actor=story.rita, reverify=accept)
    assert further.champion.version == "a"
    with pytest.raises(StateError, match="cannot go back to an earlier champion"):
        rollback(story.desk, request(), actor=story.rita, reverify=accept)


def test_rollback_to_a_named_row_and_forward_again(story: Story) -> None:
    for model, champion in (("a", None), ("b", "a"), ("c", "b")):
        story.release(model, champion)
    rows = {row.to_model: row.sequence for row in _promotions(story)}
    to_a = rollback(story.desk, request(to=rows[story.digests("a").model]), actor=story.rita, reverify=accept)
    assert to_a.champion.version == "a"
    to_c = rollback(story.desk, request(to=rows[story.digests("c").model]), actor=story.rita, reverify=accept)
    assert (to_c.champion.version, to_c.champion.generation) == ("c", 5)
    with pytest.raises(StateError, match=r"earlier champions are in rows .*\(version a\)"):
        rollback(story.desk, request(to=1), actor=story.rita, reverify=accept)
    with pytest.raises(StateError, match="champion already"):
        rollback(story.desk, request(to=rows[story.digests("c").model]), actor=story.rita, reverify=accept)


def test_rollback_that_fails_verification_changes_nothing(story: Story) -> None:
    story.release("a")
    story.release("b", "a")
    before = story.kinds()

    def refuse(champion: Champion) -> None:
        raise IntegrityError(f"the Bento of version {champion.version} has another digest")

    with pytest.raises(IntegrityError, match="version a"):
        rollback(story.desk, request(), actor=story.rita, reverify=refuse)
    assert (story.kinds(), story.champion().version) == (before, "b")


def test_rollback_is_safe_to_repeat_when_it_says_what_it_leaves(story: Story) -> None:
    for model, champion in (("a", None), ("b", "a"), ("c", "b")):
        story.release(model, champion)
    left = story.champion().sequence
    results = [rollback(story.desk, request(expected=left), actor=story.rita, reverify=accept) for _ in range(2)]
    assert results[0].champion == results[1].champion
    assert story.kinds().count("rolled_back") == 1
    with pytest.raises(ConflictError, match="somebody moved it first"):
        rollback(story.desk, request(expected=3), actor=story.rita, reverify=accept)


def test_a_champion_that_moves_during_verification_stops_the_rollback(story: Story) -> None:
    story.release("a")
    story.release("b", "a")
    number = story.propose_approved("c", "b").number
    desk = story.reopen()

    def promote_meanwhile(_: Champion) -> None:
        promote(desk, number, actor=story.eve, current=story.digests("c"))

    with pytest.raises(ConflictError, match="moved"):
        rollback(story.desk, request(), actor=story.rita, reverify=promote_meanwhile)
    assert story.champion().version == "c"


def test_rollback_needs_a_release_manager_and_a_champion(story: Story) -> None:
    with pytest.raises(StateError, match="has no champion"):
        rollback(story.desk, request(), actor=story.rita, reverify=accept)
    with pytest.raises(RefusedError, match="eve may not rollback"):
        rollback(story.desk, request(), actor=story.eve, reverify=accept)


def _promotions(story: Story) -> list[Any]:
    with story.journal.reading() as ledger:
        return [row for row in ledger.rows() if row.kind == "promoted"]
