"""The end of a release: what the gate let through becomes proposals; a written policy, or people later, promote them.

The winner is proposed as the main champion, and what is to serve a target as that target's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from components.promotion.actors import current_actor
from components.promotion.proposals import Candidate, Proposal, propose
from components.promotion.rows import ChampionKey
from components.tracking.registry import find_version
from components.workloads.rails.records import Winner, read_target_winners, read_winner
from flows.mirrors import bento_tag, digests_of, open_desk
from flows.promotion import move_champion
from flows.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a release ended: the winning candidate if any, its proposal, and whether it is champion now.

    `targets` says the same of each target that is to be served.
    """

    winner: str | None
    proposal: int | None = None
    version: str | None = None
    promoted: bool = False
    targets: Mapping[str, Outcome] = field(default_factory=dict)


@task(name="proposal", cache_policy=NO_CACHE, persist_result=False)
def propose_winners(session: Session) -> Outcome:
    """Propose the candidates that the gate let through; asked twice, it finds its own proposals."""
    winner, targets = read_winner(session.workspace), read_target_winners(session.workspace)
    main = _propose(session, winner) if winner is not None else Outcome(winner=None)
    return replace(main, targets={name: _propose(session, chosen) for name, chosen in targets.items()})


def _propose(session: Session, winner: Winner) -> Outcome:
    digests = digests_of(winner, session.workspace, session.params)
    version = find_version(session.tracker, session.model_name, digests.model)
    desk = open_desk(session.settings, session.tracker)
    champion = desk.journal.champion(ChampionKey(session.params.workload, session.params.catalog, winner.target))
    if champion is not None and champion.model == digests.model:
        return Outcome(winner=winner.candidate, version=champion.version, promoted=True)
    actor = current_actor(session.params.people, identify=lambda: session.settings.actor)
    candidate = Candidate(
        workload=session.params.workload,
        catalog=session.params.catalog,
        target=winner.target,
        version=version,
        digests=digests,
        outcome=winner.decision.outcome,
        bento=bento_tag(session.workspace, model=digests.model, target=winner.target),
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
