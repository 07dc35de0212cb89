"""What `detent run` and `detent propose` do: start a release, or say what one would do, and tell how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from components.core.decisions import Decision
from components.core.errors import StateError
from components.core.workspace import Stage, Workspace
from components.workloads.rails.records import read_decisions, read_target_winners, read_winner
from components.workloads.registry import check_workload
from flows.answers import GATE_SAID_NO, Answer, Table
from flows.office import Office
from flows.release import release, run_changed
from flows.sources import check_names, check_required, fresh_sources
from flows.winners import is_champion


def run_release(
    stage: str,
    *,
    workload: str | None = None,
    sources: Mapping[str, str] | None = None,
    incumbent: str | None = None,
    dry_run: bool = False,
) -> Answer:
    """Run the release, or the chain up to a stage; the answer tells what was decided.

    `sources` are addresses by the names that the workload has for them. `incumbent` is the file or folder of a model
    from elsewhere, to hold and to beat while there is no champion.

    Exit code 3 when the gate let no candidate through. ConfigError, SourceError and DataError for bad input,
    StateError when another release is at work in this workspace.
    """
    office = Office.open()
    check_workload(office.params, workload)
    until = None if stage == "release" else cast(Stage, stage)
    office.stages(until)  # an unknown stage is refused before anything is taken in
    if dry_run:
        return _plan(office, sources or {}, until)
    ran = release(office, sources=sources, incumbent=Path(incumbent) if incumbent is not None else None, until=until)
    if until is not None:
        return Answer(value={"stage": stage, "ran": sorted(ran)}, lines=[_what_ran(office, ran)])
    return _tell(office, ran)


def propose_last() -> Answer:
    """Propose the winner of the last release, where a kill came between its decision and its proposal.

    StateError when something has changed since: then the decision is not about what is there now.
    """
    office = Office.open()
    with office.lock():
        changes = office.changes()
        if changes:
            raise StateError(f"{', '.join(changes)} would run anew, so the last decision is out of date: `detent run`")
        return _tell(office, run_changed(office))


def report_pages(workspace: Workspace) -> list[Path]:
    """The pages that explain the last decisions, the winner's first."""
    winner = read_winner(workspace)
    first = winner.stem if winner is not None else None
    return sorted(workspace.stage("selection").glob("*.html"), key=lambda page: (page.stem != first, page.stem))


def _what_ran(office: Office, changes: Mapping[Stage, Any]) -> str:
    ran = [name for name in office.stages() if name in changes]
    return f"done: {', '.join(ran)}" if ran else "nothing has changed"


def _plan(office: Office, sources: Mapping[str, str], until: Stage | None) -> Answer:
    check_names(office.workload, sources)
    check_required(office, sources)
    stages, changes, fresh = office.stages(until), office.changes(until), fresh_sources(office)
    if fresh:
        changes = {stage: [f"the sources {', '.join(fresh)} are new"] for stage in stages}
    rows = [(stage, "runs" if stage in changes else "unchanged", "; ".join(changes.get(stage, []))) for stage in stages]
    return Answer(
        value={"would_run": dict(changes)},
        tables=[Table(title="what a run would do", columns=("stage", "", "why"), rows=rows)],
    )


def _tell(office: Office, changes: Mapping[Stage, Any]) -> Answer:
    decisions, champion = read_decisions(office.workspace), office.champion()
    winner, served = read_winner(office.workspace), read_target_winners(office.workspace)
    pages = report_pages(office.workspace)
    rows = [
        (name, decision.outcome, _rates(decision), " ".join(decision.reasons)) for name, decision in decisions.items()
    ]
    promoted = winner is not None and is_champion(office, winner)
    after = [_what_ran(office, changes), *(f"report: {page}" for page in pages)]
    if champion is not None:
        after.append(f"champion: version {champion.version}, Bento {champion.bento}; `detent serve` answers with it")
    if winner is not None and not promoted:
        after.append("the winner is proposed: `detent status` shows it, `detent approve` promotes it")
    at_work = {name for name, one in served.items() if is_champion(office, one)}
    for name, one in served.items():
        after.append(f"target {name}: {one.candidate} is {'its champion' if name in at_work else 'proposed'}")
    return Answer(
        value={
            "ran": [name for name in office.stages() if name in changes],
            "winner": winner.candidate if winner is not None else None,
            "promoted": promoted,
            "targets": {
                name: {"candidate": one.candidate, "promoted": name in at_work} for name, one in served.items()
            },
            "decisions": {name: decision.outcome for name, decision in decisions.items()},
            "champion": champion.model if champion is not None else None,
            "bento": champion.bento if champion is not None else None,
            "reports": [str(page) for page in pages],
        },
        tables=[Table(title="decisions", columns=("candidate", "decision", "on search", "because"), rows=rows)],
        after=after,
        exit_code=0 if winner is not None else GATE_SAID_NO,
    )


def _rates(decision: Decision) -> str:
    counts = decision.counts
    if counts is None:
        return "-"
    flips = f", {counts.negative_flips} negative flips" if decision.digests.get("champion") else ""
    return f"{100 * counts.new_accuracy:.1f}% right of {counts.n}{flips}"
