"""Promotion and rollback: the journal moves the champion exactly once, the projections follow.

The champion moves by compare-and-set in one transaction; from then on the promotion stands, and whatever was
not projected when the process died is projected by the next promote of the same number or by reconcile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from components.core.champions import Champion, ChampionKey
from components.core.errors import ConflictError, StateError
from components.promotion.actors import Actor
from components.promotion.desk import Desk, check_reason, mirror
from components.promotion.journal import Ledger, Transaction
from components.promotion.notices import tell
from components.promotion.projections import Projected
from components.promotion.proposals import Proposal, check_pending, close_if_void, load_proposal
from components.promotion.rows import Digests, Entry, Row

Reverify = Callable[[Champion], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """The champion that was made, and what became of each projection."""

    champion: Champion
    projected: tuple[Projected, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """Which key to roll back, and why.

    `to` is the row of an earlier champion (None: the one before), `expected` the row of the champion to leave:
    with it the request can be repeated after a kill without rolling back twice. `samples` are the ids of the
    images that showed the incident.
    """

    workload: str
    catalog: str
    reason: str
    to: int | None = None
    expected: int | None = None
    samples: tuple[str, ...] = ()
    target: str = ""

    @property
    def key(self) -> ChampionKey:
        """The key to roll back."""
        return ChampionKey(self.workload, self.catalog, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What a rollback records: its row, and the samples that are offered for the replay set."""

    row: int
    left_model: str
    reason: str
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """The champion that came back, the incident on record, and what became of each projection."""

    champion: Champion
    incident: Incident
    projected: tuple[Projected, ...]


def promote(desk: Desk, number: int, *, actor: Actor, current: Digests) -> Promotion:
    """Make an approved proposal champion; a repeated call finds its own row and only mirrors it.

    `current` holds the digests as they are now, computed afresh by the caller. StateError when approvals are
    missing or the proposal is closed; ConflictError when the champion moved, IntegrityError when a digest changed.
    """
    actor.require("promote")
    with desk.journal.writing("promote") as transaction:
        proposal = load_proposal(transaction, number)
        fault = None
        if not _is_champion(transaction, proposal):
            fault = close_if_void(transaction, proposal, current)
            if fault is None:
                _append_promotion(transaction, proposal, actor)
        champion = transaction.champion(proposal.key)
        added = transaction.added
    tell(desk.notify, added)
    if fault is not None or champion is None:
        raise fault or StateError(f"proposal {number} left no champion")
    return Promotion(champion=champion, projected=mirror(desk, [proposal.key], verb="promote"))


def rollback(desk: Desk, request: RollbackRequest, *, actor: Actor, reverify: Reverify) -> Rollback:
    """Bring an earlier champion back, after `reverify` has accepted it, and record the incident.

    `reverify` raises (IntegrityError) when the old Bento's digest or its recorded predictions no longer hold;
    nothing is written then. StateError when there is nothing to go back to, ConflictError when the champion moved.
    """
    actor.require("rollback")
    reason = check_reason(request.reason)
    with desk.journal.reading() as ledger:
        leaving, target, done = _plan_rollback(ledger, request)
    if done is None:
        reverify(target)
        with desk.journal.writing("rollback") as transaction:
            _check_unmoved(transaction, leaving)
            origin = transaction.row(target.origin)
            done = transaction.append(_rollback_entry(replace(request, reason=reason), leaving, target, origin, actor))
        tell(desk.notify, [done])
    details = done.read_details()
    incident = Incident(
        row=done.sequence,
        left_model=done.from_model or "",
        reason=done.reason,
        samples=tuple(details["samples"]),
    )
    return Rollback(champion=done.champion(), incident=incident, projected=mirror(desk, [request.key], verb="rollback"))


def _is_champion(transaction: Transaction, proposal: Proposal) -> bool:
    row = proposal.closed_by
    champion = transaction.champion(proposal.key)
    if row is None or row.kind != "promoted" or champion is None:
        return False
    if champion.sequence == row.sequence:
        return True
    raise StateError(
        f"proposal {proposal.number} was promoted in row {row.sequence} and followed by version {champion.version} in "
        f"row {champion.sequence}; to bring it back: `detent rollback --to {row.sequence}`"
    )


def _append_promotion(transaction: Transaction, proposal: Proposal, actor: Actor) -> None:
    check_pending(proposal)
    if proposal.num_missing_approvals:
        raise StateError(
            f"proposal {proposal.number} has {len(proposal.approvers)} of {proposal.policy.num_approvers} approvals: "
            f"a release manager runs `detent approve {proposal.number} --reason ...`"
        )
    candidate, champion = proposal.candidate, transaction.champion(proposal.key)
    transaction.append(
        Entry(
            kind="promoted",
            workload=candidate.workload,
            catalog=candidate.catalog,
            target=candidate.target,
            actor=actor.name,
            reason=f"proposal {proposal.number}, approved by {', '.join(proposal.approvers)}",
            proposal=proposal.number,
            generation=(champion.generation if champion else 0) + 1,
            from_model=candidate.digests.champion,
            to_model=candidate.digests.model,
            decision=candidate.digests.decision,
            details={"to": asdict(candidate.release), "digests": asdict(candidate.digests)},
        )
    )


def _plan_rollback(ledger: Ledger, request: RollbackRequest) -> tuple[Champion, Champion, Row | None]:
    champions = ledger.champions(request.key)
    name = str(request.key)
    if not champions:
        raise StateError(f"{name} has no champion, so there is nothing to roll back; `detent status` lists the keys")
    leaving = champions[0]
    if request.expected is not None and leaving.sequence != request.expected:
        row = ledger.row(leaving.sequence)
        if row.kind == "rolled_back" and row.read_details()["left"] == request.expected:
            return leaving, leaving, row
        raise ConflictError(
            f"the champion of {name} is row {leaving.sequence} (version {leaving.version}), not row "
            f"{request.expected}: somebody moved it first; look at `detent history`, then decide again"
        )
    return leaving, _find_target(champions, request, name), None


def _find_target(champions: list[Champion], request: RollbackRequest, name: str) -> Champion:
    leaving = champions[0]
    earlier = [champion for champion in champions if champion.sequence < leaving.origin]
    if request.to is not None:
        earlier = [champion for champion in champions[1:] if champion.sequence == request.to]
    if not earlier:
        rows = [f"{champion.sequence} (version {champion.version})" for champion in champions[1:]]
        raise StateError(
            f"{name} cannot go back to {'row ' + str(request.to) if request.to else 'an earlier champion'}: "
            f"earlier champions are in rows {', '.join(rows) or 'none'}"
        )
    if earlier[0].model == leaving.model:
        raise StateError(f"row {earlier[0].sequence} holds the model that is champion already")
    return earlier[0]


def _check_unmoved(transaction: Transaction, leaving: Champion) -> None:
    champion = transaction.champion(leaving.key)
    if champion != leaving:
        raise ConflictError(
            f"the champion moved from row {leaving.sequence} to row {champion.sequence if champion else 'none'} "
            "while the old one was verified; nothing was written, look at `detent history`, then decide again"
        )


def _rollback_entry(request: RollbackRequest, leaving: Champion, target: Champion, origin: Row, actor: Actor) -> Entry:
    return Entry(
        kind="rolled_back",
        workload=request.workload,
        catalog=request.catalog,
        target=request.target,
        actor=actor.name,
        reason=request.reason,
        generation=leaving.generation + 1,
        from_model=leaving.model,
        to_model=target.model,
        decision=origin.decision,
        details={
            "to": asdict(target.release),
            "digests": origin.read_details()["digests"],
            "origin": target.origin,
            "left": leaving.sequence,
            "samples": list(request.samples),
        },
    )
