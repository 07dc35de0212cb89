"""What `detent approve | reject | promote | rollback | history | reconcile | verify` do; an approval starts the flow.

Days may lie between a proposal and its approval, and nothing waits meanwhile: each verb opens the journal, does
its part and ends. The promotion itself is a Prefect flow of one task, safe to try again since it happens once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from components.core.errors import IntegrityError, UnavailableError
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.promotion.actors import Actor, current_actor
from components.promotion.anchors import ExtraAnchor, Head
from components.promotion.audit import adopt_head, verify
from components.promotion.audit import history as read_history
from components.promotion.desk import Desk
from components.promotion.notices import notifier_from_environment
from components.promotion.projections import Projected
from components.promotion.promotions import Promotion, RollbackRequest, promote, rollback
from components.promotion.proposals import Proposal, approve, load_proposal, reject
from components.promotion.reconciliation import reconcile
from components.promotion.rows import Digests
from components.tracking.runs import Tracker
from components.workloads.rails.looks import open_ledger
from components.workloads.rails.params import Params
from components.workloads.rails.records import Winner
from components.workloads.registry import load_params
from flows.answers import Answer, Table
from flows.commands.run import prepare
from flows.ghosts import end_flow_ghosts, end_server_ghosts, end_tracked_ghosts, record_process
from flows.mirrors import current_winner, digests_of, open_desk, open_journal
from flows.recordings import keep_winners_recording, reverify_in

HEAD_TAG = "detent.journal_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What every verb needs: the settings, the workspace, its parameters and who acts."""

    settings: Settings
    workspace: Workspace
    params: Params
    actor: Actor

    @classmethod
    def open(cls) -> Office:
        """The office of this process's environment."""
        settings = prepare()
        workspace = Workspace.from_settings(settings)
        params = load_params(workspace)
        actor = current_actor(params.people, identify=lambda: settings.actor)
        return cls(settings=settings, workspace=workspace, params=params, actor=actor)

    def paper_desk(self) -> Desk:
        """A desk without mirrors, for verbs that move no champion; it needs no MLflow."""
        return Desk(journal=open_journal(self.settings), notify=notifier_from_environment())

    def proposed(self, number: int) -> tuple[Winner, Digests]:
        """What lies here now for the key that a proposal is for, and its digests."""
        with open_journal(self.settings).reading() as ledger:
            target = load_proposal(ledger, number).key.target
        winner = current_winner(self.workspace, target)
        return winner, digests_of(winner, self.workspace, self.params)

    def tracker(self) -> Tracker:
        """The MLflow store."""
        return Tracker.open(self.settings.mlflow_address, home=self.workspace.home)

    def full_desk(self, tracker: Tracker) -> Desk:
        """The desk with every mirror, and the journal's head anchored in MLflow too."""
        return replace(open_desk(self.settings, tracker), extra_anchors=(mlflow_anchor(tracker),))


@task(
    name="champion",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=lambda _task, _run, state: isinstance(state.result(raise_on_failure=False), UnavailableError),
)
def move_champion(number: int) -> Promotion:
    """Keep what the winner was held to, move the champion, bring every mirror in line."""
    office = Office.open()
    winner, digests = office.proposed(number)
    if digests.bento is not None:
        keep_winners_recording(office.workspace, digests.bento, target=winner.target)
    promotion = promote(office.full_desk(office.tracker()), number, actor=office.actor, current=digests)
    create_table_artifact([asdict(item) for item in promotion.projected], key="promotion", description="Mirrors")
    return promotion


@flow(
    name="promotion", flow_run_name="promotion of proposal {number}", persist_result=False, on_running=[record_process]
)
def promotion(number: int) -> Promotion:
    """Make an approved proposal champion."""
    return move_champion(number)


def approve_proposal(number: int, *, reason: str) -> Answer:
    """Approve as the present actor; the last approval that the policy asks for starts the promotion."""
    office = Office.open()
    _, digests = office.proposed(number)
    proposal = approve(office.paper_desk(), number, actor=office.actor, reason=reason, current=digests)
    if proposal.state == "approved":
        return promote_proposal(number)
    missing = f"proposal {number}: {proposal.num_missing_approvals} more approval(s) needed from other people"
    return Answer(value=_describe(proposal), lines=[missing])


def reject_proposal(number: int, *, reason: str) -> Answer:
    """Close a proposal, with the reason on record."""
    office = Office.open()
    proposal = reject(office.paper_desk(), number, actor=office.actor, reason=reason)
    return Answer(value=_describe(proposal), lines=[f"proposal {number} is rejected: {reason}"])


def promote_proposal(number: int) -> Answer:
    """Promote an approved proposal; repeated, it brings the mirrors in line and moves nothing."""
    prepare()
    made = promotion(number)
    champion = made.champion
    place = f"champion for {champion.target}" if champion.target else "champion"
    line = f"{place}: version {champion.version}, model {champion.model[:12]}, Bento {champion.bento}"
    return Answer(
        value={"champion": asdict(champion), "projected": [asdict(item) for item in made.projected]},
        lines=[line, *_complaints(made.projected)],
        exit_code=_exit_code(made.projected),
    )


def roll_back(
    *,
    reason: str,
    target: str = "",
    to: int | None = None,
    expected: int | None = None,
    samples: Sequence[str] = (),
) -> Answer:
    """Bring an earlier champion back, a target's if one is named, once its Bento is verified.

    The answer offers the samples for replay.
    """
    office = Office.open()
    request = RollbackRequest(
        workload=office.params.workload,
        catalog=office.params.catalog,
        target=target,
        reason=reason,
        to=to,
        expected=expected,
        samples=tuple(samples),
    )
    desk = office.full_desk(office.tracker())
    done = rollback(desk, request, actor=office.actor, reverify=reverify_in(office.workspace))
    lines = [
        f"champion: version {done.champion.version} again (row {done.champion.sequence}); the incident is on record"
    ]
    if done.incident.samples:
        lines.append(f"keep it from coming back: detent replay {' '.join(done.incident.samples)} --reason '...'")
    return Answer(
        value={
            "champion": asdict(done.champion),
            "incident": asdict(done.incident),
            "projected": [asdict(item) for item in done.projected],
        },
        lines=[*lines, *_complaints(done.projected)],
        exit_code=_exit_code(done.projected),
    )


def show_history(*, limit: int | None = 50, kind: str | None = None, target: str | None = None) -> Answer:
    """The journal's rows, the last `limit` ones; of one kind or one target if named."""
    rows = read_history(open_journal(prepare()), kind=kind, target=target, limit=limit)
    cells = [
        (str(row.sequence), row.time[:19], row.actor, row.kind, row.target, str(row.proposal or ""),
         (row.from_model or "")[:8], (row.to_model or "")[:8], row.reason)
        for row in rows
    ]  # fmt: skip
    columns = ("row", "time (UTC)", "actor", "what", "target", "proposal", "from", "to", "reason")
    value = {"rows": [row.to_json() for row in rows]}
    return Answer(value=value, tables=[Table(title="history", columns=columns, rows=cells)])


def reconcile_stores() -> Answer:
    """Bring every mirror in line, expire what is overdue, end ghosts, and say what was done."""
    office = Office.open()
    tracker = office.tracker()
    finders = (lambda: end_tracked_ghosts(tracker), end_flow_ghosts, end_server_ghosts)
    found = reconcile(office.full_desk(tracker), actor=office.actor, finders=finders)
    lines = [f"journal: row {found.head.sequence}, {'all agree' if found.agrees else 'NOT all agree'}"]
    lines += [
        f"{item.name}{f' of {item.key}' if item.key else ''}: {item.outcome}, {item.message}"
        for item in found.projected
    ]
    lines += [f"proposal {item.number} expired" for item in found.expired]
    lines += [f"proposal {item.number} is approved: `detent promote {item.number}`" for item in found.approved]
    lines += [f"{ghost.kind} {ghost.name or ghost.id}: {ghost.reason}" for ghost in found.ghosts]
    value: dict[str, Any] = {
        "agrees": found.agrees,
        "projected": [asdict(item) for item in found.projected],
        "expired": [item.number for item in found.expired],
        "approved": [item.number for item in found.approved],
        "ghosts": [asdict(ghost) for ghost in found.ghosts],
        "problems": list(found.problems),
    }
    return Answer(value=value, lines=[*lines, *found.problems], exit_code=0 if found.agrees else 1)


def verify_journal(*, adopt: bool = False, reason: str = "") -> Answer:
    """Walk the whole chain and compare it with its anchors; `adopt` makes the head the anchored one, on record."""
    office = Office.open()
    journal, keys = open_journal(office.settings), office.params.people.public_keys()
    anchors = (mlflow_anchor(office.tracker()),)
    if adopt:
        adopt_head(open_journal(office.settings), actor=office.actor, reason=reason, extra_anchors=anchors)
    found = verify(journal, extra_anchors=anchors, public_keys=keys)
    fault = found.fault
    looks = _verify_looks(office)
    line = f"row {fault.sequence} {fault.message}" if fault else f"{found.num_rows} rows, nothing altered"
    value: dict[str, Any] = {
        "ok": found.ok and looks is None,
        "num_rows": found.num_rows,
        "fault": asdict(fault) if fault else None,
    }
    told = [line, f"looks at certify: {looks or 'the ledger agrees with its anchor and its plan'}", *found.notes]
    value |= {"looks": looks, "notes": found.notes}
    return Answer(value=value, lines=told, exit_code=0 if value["ok"] else 1)


def _verify_looks(office: Office) -> str | None:
    """What is wrong with the ledger of looks, or None; its rows are the journal's, its anchor lies in git."""
    try:
        with open_ledger(office.workspace, office.params) as ledger:
            ledger.check()
    except IntegrityError as error:
        return str(error)
    return None


def mlflow_anchor(tracker: Tracker) -> ExtraAnchor:
    """The journal's head as a tag of the MLflow experiment."""

    def publish(head: Head) -> None:
        tracker.client.set_experiment_tag(tracker.experiment_id, HEAD_TAG, f"{head.sequence}:{head.digest}")

    def read() -> Head | None:
        text = tracker.client.get_experiment(tracker.experiment_id).tags.get(HEAD_TAG)
        if text is None:
            return None
        sequence, _, digest = text.partition(":")
        return Head(sequence=int(sequence), digest=digest)

    return ExtraAnchor(name="MLflow tag", publish=publish, read=read)


def _describe(proposal: Proposal) -> dict[str, Any]:
    return {"proposal": proposal.number, "state": proposal.state, "approvers": proposal.approvers}


def _complaints(projected: Sequence[Projected]) -> list[str]:
    return [f"{item.name}: {item.message}" for item in projected if item.outcome in ("failed", "fenced")]


def _exit_code(projected: Sequence[Projected]) -> int:
    return 1 if _complaints(projected) else 0
