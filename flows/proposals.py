"""The end of a release: the winner becomes a proposal; a written policy, or people later, promote it."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from components.promotion.actors import current_actor
from components.promotion.proposals import Candidate, Proposal, propose
from components.tracking.registry import find_version
from components.workloads.records import read_winner
from flows.desks import bento_tag, digests_of, open_desk
from flows.promotion import move_champion
from flows.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a release ended: the winning candidate if any, its proposal, and whether it is champion now."""

    winner: str | None
    proposal: int | None = None
    version: str | None = None
    promoted: bool = False


@task(name="proposal", cache_policy=NO_CACHE, persist_result=False)
def propose_winner(session: Session) -> Outcome:
    """Propose the candidate that the gate let through; asked twice, it finds its own proposal."""
    winner = read_winner(session.workspace)
    if winner is None:
        return Outcome(winner=None)
    digests = digests_of(winner, session.workspace, session.params)
    version = find_version(session.tracker, session.model_name, digests.model)
    desk = open_desk(session.settings, session.tracker)
    champion = desk.journal.champion(session.params.workload, session.params.catalog)
    if champion is not None and champion.model == digests.model:
        return Outcome(winner=winner.candidate, version=champion.version, promoted=True)
    actor = current_actor(session.params.people, identify=lambda: session.settings.actor)
    candidate = Candidate(
        workload=session.params.workload,
        catalog=session.params.catalog,
        version=version,
        digests=digests,
        outcome=winner.decision.outcome,
        bento=bento_tag(session.workspace, model=digests.model),
        trained_by=actor.name,
        report=str(session.workspace.stage("selection") / f"{winner.stem}.html"),
    )
    proposal = propose(desk, candidate, actor=actor, policy=session.params.approval)
    if proposal.state == "approved":
        move_champion(proposal.number)
    return _outcome(winner.candidate, proposal)


def _outcome(winner: str, proposal: Proposal) -> Outcome:
    return Outcome(
        winner=winner,
        proposal=proposal.number,
        version=proposal.candidate.version,
        promoted=proposal.state in ("approved", "promoted"),
    )
