"""Proposals wait, are approved by the right people, and become void when anything they rest on changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from components.core.errors import ConflictError, DataError, IntegrityError, RefusedError, StateError
from components.promotion.policy import ApprovalPolicy
from components.promotion.promotions import promote
from components.promotion.proposals import approve, expire, pending_proposals, propose, reject
from tests.components.promotion.cast import Story


def test_a_proposal_waits_for_a_person_and_is_found_again(story: Story) -> None:
    proposal = story.propose("a")
    assert (proposal.state, proposal.num_missing_approvals) == ("open", 1)
    story.journal.close()
    assert [known.number for known in pending_proposals(story.reopen().journal)] == [proposal.number]


def test_proposing_the_same_candidate_again_gives_the_same_proposal(story: Story) -> None:
    assert story.propose("a") == story.propose("a")
    assert story.kinds() == ["proposed"]


@pytest.mark.parametrize("outcome", ["HOLD", "REJECT", "BOOTSTRAP"])
def test_only_what_the_gate_let_through_can_be_proposed(story: Story, outcome: str) -> None:
    """Not even as a first champion, nor under a policy that asks nobody."""
    auto = ApprovalPolicy(auto=True)
    with pytest.raises(StateError, match=f"the gate said {outcome} of version a, only PROMOTE"):
        propose(story.desk, story.candidate("a", outcome=outcome), actor=story.eve, policy=auto)
    assert story.kinds() == []


def test_a_candidate_compared_with_an_old_champion_cannot_be_proposed(story: Story) -> None:
    story.release("a")
    with pytest.raises(ConflictError, match="run the release again"):
        story.propose("b")
    with pytest.raises(StateError, match="champion already"):
        story.propose("a", "a")


def test_a_bento_needs_tag_and_digest(story: Story) -> None:
    with pytest.raises(DataError, match="both its tag and its digest"):
        propose(story.desk, story.candidate("a", bento="products:1"), actor=story.eve, policy=ApprovalPolicy())


def test_roles_decide_who_may_do_what(story: Story) -> None:
    number = story.propose("a").number
    with pytest.raises(RefusedError, match="eve may not approve"):
        approve(story.desk, number, actor=story.eve, reason="mine", current=story.digests("a"))
    with pytest.raises(RefusedError, match="amy may not propose"):
        propose(story.desk, story.candidate("b"), actor=story.amy, policy=ApprovalPolicy())
    with pytest.raises(RefusedError, match="eve may not reject"):
        reject(story.desk, number, actor=story.eve, reason="no")
    assert story.kinds() == ["proposed"]


def test_two_different_people_are_asked_for(story: Story) -> None:
    number = story.propose("a", num_approvers=2).number
    for _ in range(2):
        once = approve(story.desk, number, actor=story.rita, reason="fine", current=story.digests("a"))
        assert (once.state, once.num_missing_approvals) == ("open", 1)
    with pytest.raises(StateError, match="1 of 2 approvals"):
        promote(story.desk, number, actor=story.eve, current=story.digests("a"))
    twice = approve(story.desk, number, actor=story.rob, reason="fine too", current=story.digests("a"))
    assert (twice.state, twice.approvers) == ("approved", ("rita", "rob"))
    assert story.kinds() == ["proposed", "approved", "approved"]


def test_the_trainer_may_be_forbidden_to_approve(story: Story) -> None:
    policy = ApprovalPolicy(forbid_trainer=True)
    number = propose(story.desk, story.candidate("a", trained_by="rob"), actor=story.eve, policy=policy).number
    with pytest.raises(RefusedError, match="rob trained version a"):
        approve(story.desk, number, actor=story.rob, reason="fine", current=story.digests("a"))
    done = approve(story.desk, number, actor=story.rita, reason="fine", current=story.digests("a"))
    assert done.state == "approved"


def test_an_automatic_approval_stands_on_record_under_the_policys_name(story: Story) -> None:
    proposal = story.propose("a", auto=True, name="demo")
    assert (proposal.state, proposal.approvers) == ("approved", ("policy:demo",))
    with story.journal.reading() as ledger:
        assert ledger.rows()[1].actor == "policy:demo"


def test_a_rejection_needs_a_reason_and_closes_the_proposal(story: Story) -> None:
    number = story.propose("a").number
    with pytest.raises(DataError, match="a reason is needed"):
        reject(story.desk, number, actor=story.rita, reason="  ")
    for _ in range(2):
        assert reject(story.desk, number, actor=story.rita, reason="breaks chairs").state == "rejected"
    with pytest.raises(StateError, match=r"rejected .* by rita: breaks chairs"):
        approve(story.desk, number, actor=story.rob, reason="fine", current=story.digests("a"))
    assert story.kinds() == ["proposed", "rejected"]


@pytest.mark.parametrize("name", ["model", "bento", "evaluation_set", "policy", "decision"])
@pytest.mark.parametrize("verb", ["approve", "promote"])
def test_a_digest_that_changed_voids_the_approval_and_is_named(sqlite_story: Story, name: str, verb: str) -> None:
    story = sqlite_story
    story.release("a")
    number = story.propose_approved("b", "a").number
    current = replace(story.digests("b"), **{name: "9" * 64})
    with pytest.raises(IntegrityError, match=f"is void.*{name.replace('_', ' ')} was .* is 999999999999 now"):
        if verb == "approve":
            approve(story.desk, number, actor=story.rob, reason="fine", current=current)
        else:
            promote(story.desk, number, actor=story.eve, current=current)
    assert story.kinds()[-1] == "voided"
    assert story.champion().version == "a"
    with pytest.raises(StateError, match="is void since"):
        promote(story.desk, number, actor=story.eve, current=story.digests("b"))


def test_another_promotion_voids_the_approval_even_if_the_same_model_came_back(story: Story) -> None:
    story.release("a")
    number = story.propose_approved("b", "a").number
    story.release("c", "a")
    story.release("a", "c")
    assert story.champion().model == story.digests("a").model
    with pytest.raises(ConflictError, match=r"champion was aaaaaaaaaaaa \(row 3\).* is aaaaaaaaaaaa"):
        promote(story.desk, number, actor=story.eve, current=story.digests("b"))
    assert story.champion().version == "a"


def test_an_overdue_proposal_expires_on_record(story: Story) -> None:
    number = story.propose("a", expires_after_h=2, name="quick").number
    story.journal.clock = lambda: datetime.now(UTC) + timedelta(hours=2.1)
    with pytest.raises(StateError, match="not promoted within 2 h"):
        approve(story.desk, number, actor=story.rita, reason="late", current=story.digests("a"))
    with story.journal.reading() as ledger:
        last = ledger.rows()[-1]
    assert (last.kind, last.actor) == ("expired", "policy:quick")


def test_expire_closes_only_what_is_overdue(story: Story) -> None:
    story.propose("a", expires_after_h=2)
    story.propose("b", expires_after_h=9)
    story.journal.clock = lambda: datetime.now(UTC) + timedelta(hours=3)
    assert [closed.candidate.version for closed in expire(story.desk)] == ["a"]
    assert expire(story.desk) == []


def test_people_are_told_once_and_a_deaf_notifier_harms_nothing(story: Story) -> None:
    story.propose("a")
    story.propose("a")
    assert [notice.title for notice in story.notices] == ["proposed #1: products / grocery, by eve"]

    def fail(_: object) -> None:
        raise ConnectionError("the mail server is down")

    desk = replace(story.desk, notify=fail)
    assert approve(desk, 1, actor=story.rita, reason="fine", current=story.digests("a")).state == "approved"


def test_an_unknown_number_is_named(story: Story) -> None:
    with pytest.raises(StateError, match="no proposal 7"):
        reject(story.desk, 7, actor=story.rita, reason="no")


@pytest.mark.parametrize("reason", ["", "\0", "x" * 2001, "\ud800"])
def test_reasons_that_cannot_be_kept_are_refused(sqlite_story: Story, reason: str) -> None:
    number = sqlite_story.propose("a").number
    with pytest.raises(DataError, match="reason"):
        reject(sqlite_story.desk, number, actor=sqlite_story.rita, reason=reason)


def test_a_changed_line_of_code_voids_the_approval_and_is_named(story: Story) -> None:
    digests = replace(story.digests("a"), code="1" * 64)
    candidate = replace(story.candidate("a"), digests=digests)
    number = propose(story.desk, candidate, actor=story.eve, policy=ApprovalPolicy()).number
    approve(story.desk, number, actor=story.rita, reason="fine", current=digests)
    with pytest.raises(IntegrityError, match="code was 111111111111 when proposed and is 222222222222 now"):
        promote(story.desk, number, actor=story.eve, current=replace(digests, code="2" * 64))
    assert story.kinds() == ["proposed", "approved", "voided"]


def test_a_proposal_that_recorded_no_code_is_bound_to_all_else(story: Story) -> None:
    """As those of earlier versions are: it goes on, and is found again, but not with another policy."""
    number = story.propose("a").number
    now = replace(story.digests("a"), code="1" * 64)
    again = propose(story.desk, replace(story.candidate("a"), digests=now), actor=story.eve, policy=ApprovalPolicy())
    assert again.number == number
    approve(story.desk, number, actor=story.rita, reason="fine", current=now)
    with pytest.raises(IntegrityError, match="policy was ffffffffffff when proposed"):
        promote(story.desk, number, actor=story.eve, current=replace(now, policy="0" * 64))
