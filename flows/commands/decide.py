"""What `detent approve | reject | promote | rollback | history | reconcile | verify` do; an approval starts the flow.

Days may lie between a proposal and its approval, and nothing waits meanwhile: each verb opens the office, does its
part and ends. Prefect is imported by those alone that promote or end its ghosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from components.core.errors import IntegrityError
from components.promotion.audit import adopt_head, verify
from components.promotion.audit import history as read_history
from components.promotion.projections import Projected
from components.promotion.promotions import RollbackRequest, rollback
from components.promotion.proposals import Proposal, approve, reject
from components.promotion.reconciliation import reconcile
from components.workloads.rails.looks import open_ledger
from flows.answers import Answer, Table
from flows.mirrors import mlflow_anchor
from flows.office import Office
from flows.recordings import reverify_in
from flows.winners import Proposed, proposed


def approve_proposal(number: int, *, reason: str) -> Answer:
    """Approve as the present actor; the last approval that the policy asks for starts the promotion."""
    office = Office.open()
    chosen = proposed(office, number)
    proposal = approve(office.paper_desk, number, actor=office.actor, reason=reason, current=chosen.digests)
    if proposal.state == "approved":
        return _promote(office, number, chosen)
    missing = f"proposal {number}: {proposal.num_missing_approvals} more approval(s) needed from other people"
    return Answer(value=_describe(proposal), lines=[missing])


def reject_proposal(number: int, *, reason: str) -> Answer:
    """Close a proposal, with the reason on record."""
    office = Office.open()
    proposal = reject(office.paper_desk, number, actor=office.actor, reason=reason)
    return Answer(value=_describe(proposal), lines=[f"proposal {number} is rejected: {reason}"])


def promote_proposal(number: int) -> Answer:
    """Promote an approved proposal; repeated, it brings the mirrors in line and moves nothing."""
    office = Office.open()
    return _promote(office, number, proposed(office, number))


def _promote(office: Office, number: int, chosen: Proposed) -> Answer:
    from flows.promotion import promotion

    made = promotion(office, number, chosen)
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
    done = rollback(office.desk, request, actor=office.actor, reverify=reverify_in(office.workspace))
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
    rows = read_history(Office.open().journal, kind=kind, target=target, limit=limit)
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
    from flows.ghosts import end_flow_ghosts, end_server_ghosts, end_tracked_ghosts

    office = Office.open()
    finders = (lambda: end_tracked_ghosts(office.tracker), end_flow_ghosts, end_server_ghosts)
    found = reconcile(office.desk, actor=office.actor, finders=finders)
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
    anchors = (mlflow_anchor(office.tracker),)
    if adopt:
        adopt_head(office.journal, actor=office.actor, reason=reason, extra_anchors=anchors)
    found = verify(office.journal, extra_anchors=anchors, public_keys=office.params.people.public_keys())
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


def _describe(proposal: Proposal) -> dict[str, Any]:
    return {"proposal": proposal.number, "state": proposal.state, "approvers": proposal.approvers}


def _complaints(projected: Sequence[Projected]) -> list[str]:
    return [f"{item.name}: {item.message}" for item in projected if item.outcome in ("failed", "fenced")]


def _exit_code(projected: Sequence[Projected]) -> int:
    return 1 if _complaints(projected) else 0
