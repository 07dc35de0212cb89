"""Proposals: a candidate that the gate would promote waits here for people, holding nothing while it waits.

A proposal is bound by digest to the model, its Bento, the evaluation set, the policy, the decision, the code and
the champion that it was compared with. Whatever changes before the promotion makes it void, on record, and the
error says which digest changed. Every verb may be repeated after a kill: it finds its own row and adds none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from components.core.champions import Champion, ChampionKey, Release
from components.core.decisions import Outcome
from components.core.errors import ConflictError, DataError, DetentError, IntegrityError, RefusedError, StateError
from components.promotion.actors import Actor
from components.promotion.desk import Desk, check_reason
from components.promotion.journal import Journal, Ledger, Transaction
from components.promotion.notices import tell
from components.promotion.policy import ApprovalPolicy
from components.promotion.rows import Digests, Entry, Kind, Row, short

ProposalState = Literal["open", "approved", "rejected", "expired", "void", "promoted"]
_CLOSED: dict[str, ProposalState] = {
    "rejected": "rejected",
    "expired": "expired",
    "voided": "void",
    "promoted": "promoted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a release proposes; `champion` in `digests` is the model compared with.

    `outcome` is that of the Decision whose digest stands in `digests`: only PROMOTE can be proposed.

    `bento` is the Bento's tag, its digest stands in `digests`. `report` is a link or path for the approver.
    """

    workload: str
    catalog: str
    version: str
    digests: Digests
    outcome: Outcome
    bento: str | None = None
    trained_by: str | None = None
    report: str | None = None
    target: str = ""

    @property
    def key(self) -> ChampionKey:
        """What it would be champion of."""
        return ChampionKey(self.workload, self.catalog, self.target)

    @property
    def release(self) -> Release:
        """The candidate as it would be released."""
        return Release(
            model=self.digests.model, version=self.version, bento=self.bento, bento_digest=self.digests.bento
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal as the journal tells it; `number` is that of its row, the rows of looks not counted."""

    number: int
    candidate: Candidate
    champion_sequence: int | None
    policy: ApprovalPolicy
    proposed_by: str
    proposed_at: str
    expires_at: str
    approvers: tuple[str, ...]
    state: ProposalState
    closed_by: Row | None

    @property
    def key(self) -> ChampionKey:
        """What it is for."""
        return self.candidate.key

    @property
    def num_missing_approvals(self) -> int:
        """How many more people must approve."""
        if self.policy.actor in self.approvers:
            return 0
        return max(0, self.policy.num_approvers - len(self.approvers))

    def is_overdue(self, now: datetime) -> bool:
        """Whether the policy's time has passed."""
        return now > datetime.fromisoformat(self.expires_at)


def propose(desk: Desk, candidate: Candidate, *, actor: Actor, policy: ApprovalPolicy) -> Proposal:
    """Put a candidate up for approval; with an automatic policy it is approved in the same transaction.

    The same candidate proposed again while its proposal is pending gives that proposal. StateError when the gate
    did not say PROMOTE, ConflictError when the champion compared with is no longer champion, RefusedError for a role.
    """
    actor.require("propose")
    with desk.journal.writing("propose") as transaction:
        champion = transaction.champion(candidate.key)
        _check_candidate(candidate, champion)
        number = _find_pending(transaction, candidate)
        if number is None:
            number = _append_proposal(transaction, candidate, champion, actor, policy)
        proposal = load_proposal(transaction, number)
        added = transaction.added
    tell(desk.notify, added)
    return proposal


def approve(desk: Desk, number: int, *, actor: Actor, reason: str, current: Digests) -> Proposal:
    """Record one person's approval. `current` holds the digests as they are now, computed afresh by the caller.

    `current.champion` is ignored: the journal knows better. Approving twice adds nothing. RefusedError for the
    wrong role or for whoever trained the candidate; ConflictError, IntegrityError or StateError when void.
    """
    actor.require("approve")
    reason = check_reason(reason)
    with desk.journal.writing("approve") as transaction:
        proposal = load_proposal(transaction, number)
        fault = close_if_void(transaction, proposal, current)
        if fault is None:
            _check_approver(proposal, actor)
            if actor.name not in proposal.approvers:
                transaction.append(_entry("approved", proposal, actor.name, reason))
            proposal = load_proposal(transaction, number)
        added = transaction.added
    tell(desk.notify, added)
    if fault is not None:
        raise fault
    return proposal


def reject(desk: Desk, number: int, *, actor: Actor, reason: str) -> Proposal:
    """Close a proposal with a reason; rejecting it again adds nothing."""
    actor.require("reject")
    reason = check_reason(reason)
    with desk.journal.writing("reject") as transaction:
        proposal = load_proposal(transaction, number)
        if proposal.state != "rejected":
            check_pending(proposal)
            transaction.append(_entry("rejected", proposal, actor.name, reason))
            proposal = load_proposal(transaction, number)
        added = transaction.added
    tell(desk.notify, added)
    return proposal


def expire(desk: Desk) -> list[Proposal]:
    """Close every pending proposal whose time has passed, on record under its policy's name."""
    with desk.journal.writing("expire") as transaction:
        pending = [load_proposal(transaction, number) for number in transaction.open_proposals()]
        overdue = [proposal for proposal in pending if proposal.is_overdue(transaction.now)]
        for proposal in overdue:
            transaction.append(expiry(proposal))
        closed = [load_proposal(transaction, proposal.number) for proposal in overdue]
        added = transaction.added
    tell(desk.notify, added)
    return closed


def pending_proposals(journal: Journal) -> list[Proposal]:
    """The proposals that wait for people or for their promotion, oldest first."""
    with journal.reading() as ledger:
        return [load_proposal(ledger, number) for number in ledger.open_proposals()]


def load_proposal(ledger: Ledger, number: int) -> Proposal:
    """A proposal by its number; StateError when the journal has none of that number."""
    rows = ledger.proposal_rows(number)
    if not rows:
        raise StateError(f"there is no proposal {number}: `detent status` lists those that wait")
    details = rows[0].read_details()
    approvers = tuple(row.actor for row in rows if row.kind == "approved")
    closed_by = next((row for row in rows if row.kind in _CLOSED), None)
    proposal = Proposal(
        number=number,
        candidate=Candidate(**details["candidate"] | {"digests": Digests(**details["candidate"]["digests"])}),
        champion_sequence=details["champion_sequence"],
        policy=ApprovalPolicy.model_validate(details["policy"]),
        proposed_by=rows[0].actor,
        proposed_at=rows[0].time,
        expires_at=details["expires_at"],
        approvers=approvers,
        state=_CLOSED[closed_by.kind] if closed_by else "open",
        closed_by=closed_by,
    )
    if closed_by is None and proposal.num_missing_approvals == 0:
        return replace(proposal, state="approved")
    return proposal


def check_pending(proposal: Proposal) -> None:
    """StateError when the proposal is closed, with who closed it, when and why."""
    row = proposal.closed_by
    if row is not None:
        raise StateError(
            f"proposal {proposal.number} is {proposal.state} since {row.time[:19]} by {row.actor}: {row.reason}"
        )


def close_if_void(transaction: Transaction, proposal: Proposal, current: Digests) -> DetentError | None:
    """Close the proposal on record and return the error to raise, when its time or one of its digests is over."""
    check_pending(proposal)
    if proposal.is_overdue(transaction.now):
        row = transaction.append(expiry(proposal))
        return StateError(f"proposal {proposal.number} has expired: {row.reason}")
    champion = transaction.champion(proposal.key)
    if (champion.sequence if champion else None) != proposal.champion_sequence:
        return _void(transaction, proposal, ConflictError, _champion_moved(proposal, champion))
    changes = proposal.candidate.digests.changes(replace(current, champion=champion.model if champion else None))
    if changes:
        return _void(transaction, proposal, IntegrityError, "; ".join(changes))
    return None


def expiry(proposal: Proposal) -> Entry:
    """The row that closes an overdue proposal."""
    reason = (
        f"not promoted within {proposal.policy.expires_after_h:g} h, by {proposal.expires_at[:19]} UTC; propose again"
    )
    return _entry("expired", proposal, proposal.policy.actor, reason)


def _void(transaction: Transaction, proposal: Proposal, kind: type[DetentError], reason: str) -> DetentError:
    transaction.append(_entry("voided", proposal, proposal.policy.actor, reason))
    return kind(f"proposal {proposal.number} is void, its approvals too: {reason}; compare and propose again")


def _champion_moved(proposal: Proposal, champion: Champion | None) -> str:
    then = f"{short(proposal.candidate.digests.champion)} (row {proposal.champion_sequence or 'none'})"
    now = f"{short(champion.model)} (version {champion.version}, row {champion.sequence})" if champion else "none"
    return f"champion was {then} when proposed and is {now} now"


def _check_candidate(candidate: Candidate, champion: Champion | None) -> None:
    if candidate.outcome != "PROMOTE":
        raise StateError(
            f"the gate said {candidate.outcome} of version {candidate.version}, only PROMOTE can be proposed; its "
            "decision tells the reasons"
        )
    if candidate.digests.champion != (champion.model if champion else None):
        raise ConflictError(
            f"version {candidate.version} was compared with champion {short(candidate.digests.champion)}, the champion "
            f"of {candidate.key} is {short(champion.model if champion else None)} now: run the release again"
        )
    if champion is not None and champion.model == candidate.digests.model:
        raise StateError(f"version {candidate.version} is the champion already (row {champion.sequence})")
    if (candidate.bento is None) != (candidate.digests.bento is None):
        raise DataError("a Bento needs both its tag and its digest; give both or neither")


def _find_pending(transaction: Transaction, candidate: Candidate) -> int | None:
    for number in transaction.open_proposals():
        known = load_proposal(transaction, number)
        same = known.key == candidate.key
        if same and not known.candidate.digests.changes(candidate.digests) and not known.is_overdue(transaction.now):
            return number
    return None


def _append_proposal(
    transaction: Transaction, candidate: Candidate, champion: Champion | None, actor: Actor, policy: ApprovalPolicy
) -> int:
    details: dict[str, Any] = {
        "candidate": asdict(candidate),
        "champion_sequence": champion.sequence if champion else None,
        "policy": policy.model_dump(mode="json"),
        "expires_at": (transaction.now + timedelta(hours=policy.expires_after_h)).isoformat(timespec="microseconds"),
    }
    row = transaction.append(
        Entry(
            kind="proposed",
            workload=candidate.workload,
            catalog=candidate.catalog,
            target=candidate.target,
            actor=actor.name,
            reason=f"the gate said {candidate.outcome} of version {candidate.version}",
            from_model=candidate.digests.champion,
            to_model=candidate.digests.model,
            decision=candidate.digests.decision,
            details=details,
        )
    )
    if policy.auto:
        reason = f"policy {policy.name!r} approves what the gate promotes, proposed by {actor.name}"
        transaction.append(_entry("approved", load_proposal(transaction, row.proposal or 0), policy.actor, reason))
    return row.proposal or 0


def _check_approver(proposal: Proposal, actor: Actor) -> None:
    if proposal.policy.forbid_trainer and actor.name == proposal.candidate.trained_by:
        raise RefusedError(
            f"{actor.name} trained version {proposal.candidate.version}, and policy {proposal.policy.name!r} "
            "forbids the trainer to approve; ask another release manager"
        )


def _entry(kind: Kind, proposal: Proposal, actor: str, reason: str) -> Entry:
    digests = proposal.candidate.digests
    return Entry(
        kind=kind,
        workload=proposal.candidate.workload,
        catalog=proposal.candidate.catalog,
        target=proposal.candidate.target,
        actor=actor,
        reason=reason,
        proposal=proposal.number,
        from_model=digests.champion,
        to_model=digests.model,
        decision=digests.decision,
        details={"digests": asdict(digests)},
    )
