"""The end of a release, and what an approval starts: proposals, and the promotion that makes one of them champion.

What the gate let through is proposed: the winner as the main champion, what is to serve a target as that target's
own. A written policy, or people later, promote it. The promotion is a Prefect flow of one task, safe to try again
since it happens once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from components.core.errors import UnavailableError
from components.promotion.promotions import Promotion, promote
from components.promotion.proposals import Candidate, propose
from components.tracking.registry import find_version
from components.workloads.rails.records import Winner, read_target_winners, read_winner
from flows.ghosts import record_process
from flows.mirrors import bento_tag
from flows.office import Office
from flows.recordings import keep_winners_recording
from flows.winners import Proposed, digests_now


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
def propose_winners(office: Office) -> Outcome:
    """Propose the candidates that the gate let through; asked twice, it finds its own proposals."""
    winner, targets = read_winner(office.workspace), read_target_winners(office.workspace)
    main = propose_winner(office, winner) if winner is not None else Outcome(winner=None)
    return replace(main, targets={name: propose_winner(office, chosen) for name, chosen in targets.items()})


def propose_winner(office: Office, winner: Winner) -> Outcome:
    """Propose one candidate, unless it is champion already; promoted at once where the policy approves by itself."""
    chosen = digests_now(office, winner)
    model = chosen.digests.model
    version = find_version(office.tracker, office.model_name, model)
    champion = office.champion(winner.target)
    if champion is not None and champion.model == model:
        return Outcome(winner=winner.candidate, version=champion.version, promoted=True)
    candidate = Candidate(
        workload=office.params.workload,
        catalog=office.params.catalog,
        target=winner.target,
        version=version,
        digests=chosen.digests,
        outcome=winner.decision.outcome,
        bento=bento_tag(office.workspace, model=model, target=winner.target),
        trained_by=office.actor.name,
        report=str(office.workspace.stage("selection") / f"{winner.stem}.html"),
    )
    proposal = propose(office.desk, candidate, actor=office.actor, policy=office.params.approval)
    if proposal.state == "approved":
        move_champion(office, proposal.number, chosen)
    promoted = proposal.state in ("approved", "promoted")
    return Outcome(winner=winner.candidate, proposal=proposal.number, version=version, promoted=promoted)


@task(
    name="champion",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=lambda _task, _run, state: isinstance(state.result(raise_on_failure=False), UnavailableError),
)
def move_champion(office: Office, number: int, chosen: Proposed) -> Promotion:
    """Keep what the winner was held to, move the champion, bring every mirror in line."""
    digests = chosen.digests
    if digests.bento is not None:
        keep_winners_recording(office.workspace, digests.bento, target=chosen.winner.target)
    made = promote(office.desk, number, actor=office.actor, current=digests)
    create_table_artifact([asdict(item) for item in made.projected], key="promotion", description="Mirrors")
    return made


@flow(
    name="promotion", flow_run_name="promotion of proposal {number}", persist_result=False, on_running=[record_process]
)
def promotion(office: Office, number: int, chosen: Proposed) -> Promotion:
    """Make an approved proposal champion."""
    return move_champion(office, number, chosen)
