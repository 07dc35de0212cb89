"""What `detent run`, `status` and `serve` do: prepare, ask DVC, and start Prefect only when there is work."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from components.core import manifest
from components.core.errors import ConfigError, DetentError, SourceError, StateError
from components.core.settings import Settings, prepare_environment
from components.core.workspace import SOURCE_NAMES, STAGES, SourceName, Stage, Workspace
from components.promotion.journal import Journal
from components.promotion.rows import ChampionKey
from components.workloads.rails.params import Params
from components.workloads.rails.records import Winner, read_decisions, read_target_winners, read_winner
from components.workloads.registry import check_workload, load_params
from flows.answers import Answer, Table
from flows.baseline import champion_of, refresh_baseline
from flows.graph import Graph
from flows.mirrors import open_journal
from flows.placement import refresh_placement

log = logging.getLogger(__name__)
GATE_SAID_NO = 3
SOURCE_KINDS: dict[SourceName, manifest.Source] = {
    "catalog": "catalog",
    "photos": "photo",
    "backgrounds": "background",
}


def run_release(
    stage: str,
    *,
    workload: str | None,
    sources: Mapping[str, str | None],
    incumbent: str | None = None,
    dry_run: bool = False,
) -> Answer:
    """Run the release, or the chain up to a stage; the answer tells what was decided.

    `incumbent` is the file or folder of a model from elsewhere, to hold and to beat while there is no champion.

    Exit code 3 when the gate let no candidate through. ConfigError, SourceError and DataError for bad input,
    StateError when another release is at work in this workspace.
    """
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    params = load_params(workspace)
    check_workload(params, workload)
    graph = Graph(workspace.root)
    with workspace_lock(workspace):
        if dry_run:
            return _plan(workspace, graph, sources)
        take_in(workspace, graph, sources)
        refresh_placement(workspace, graph)
        refresh_baseline(settings, params, graph, incumbent=Path(incumbent) if incumbent is not None else None)
        return carry_out(stage, settings, params, graph)


def propose_last() -> Answer:
    """Propose the winner of the last release, where a kill came between its decision and its proposal.

    StateError when something has changed since: then the decision is not about what is there now.
    """
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    params = load_params(workspace)
    graph = Graph(workspace.root)
    with workspace_lock(workspace):
        changes = graph.changes()
        if changes:
            raise StateError(f"{', '.join(changes)} would run anew, so the last decision is out of date: `detent run`")
        return carry_out("release", settings, params, graph)


def prepare() -> Settings:
    """Read the settings, quieten the dependencies, and log to standard error."""
    settings = Settings()
    prepare_environment(settings)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for name in ("flows", "components"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_is_no_trace)
    return settings


def _is_no_trace(record: logging.LogRecord) -> bool:
    """Drops Prefect's stack trace of an error that the command line tells in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, DetentError) and not record.getMessage().startswith("Finished in state Failed")


@contextmanager
def workspace_lock(workspace: Workspace) -> Iterator[None]:
    """One release at a time in a workspace; StateError when another one is at work."""
    from filelock import FileLock, Timeout

    workspace.data.mkdir(parents=True, exist_ok=True)
    lock = FileLock(workspace.data / ".release.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StateError(
            f"another release is at work in {workspace.root}; wait for it, or use a worktree of your own"
        ) from None
    try:
        yield
    finally:
        lock.release()


def take_in(workspace: Workspace, graph: Graph, sources: Mapping[str, str | None]) -> None:
    """Turn the named sources into tracked manifests; one that is unchanged since is left alone.

    An absent source that was never named becomes an empty manifest. SourceError for what cannot be used.
    """
    from components.datasets.sources import check_classes, ingest, ingest_nothing

    named = {name: sources.get(name) for name in SOURCE_NAMES}
    if named["catalog"] is None and not is_taken_in(workspace.source("catalog")):
        raise SourceError("no catalogue yet: name one with --catalog DIR (one sub-folder a class)")
    for name, address in named.items():
        folder = workspace.source(name)
        if address is not None:
            mark = workspace.cache / "sources" / f"{name}.fingerprint"
            summary = ingest(address, out=folder, source=SOURCE_KINDS[name], fingerprint_file=mark)
            if summary.changed:
                log.info("%s: %d images from %s", name, summary.num_images, address)
        elif not is_taken_in(folder):
            ingest_nothing(folder, SOURCE_KINDS[name])
        if not folder.with_name(f"{name}.dvc").is_file() or address is not None:
            graph.track(folder)
    if not is_taken_in(workspace.replay):
        with manifest.ManifestWriter(workspace.replay):
            pass
        graph.track(workspace.replay)
    if manifest.count(workspace.source("photos")):
        without = check_classes(workspace.source("catalog"), workspace.source("photos"))
        if without:
            log.warning("no photos of %s: learned from synthetic images alone", ", ".join(without))


def carry_out(stage: str, settings: Settings, params: Params, graph: Graph) -> Answer:
    """Start Prefect for what has to be done, if anything has; then tell how it stands."""
    workspace = Workspace.from_settings(settings)
    until: Stage = "packaging" if stage == "release" else cast(Stage, stage)
    changes = graph.changes(STAGES[: STAGES.index(until) + 1])
    if stage != "release":
        if changes:
            from flows.release import run_until

            run_until(until)
        return Answer(value={"stage": stage, "ran": sorted(changes)}, lines=[_what_ran(changes)])
    if changes or not _is_proposed(settings, params, workspace):
        from flows.release import release

        release(params.workload, params.catalog)
    return _tell(settings, params, changes)


def report_pages(workspace: Workspace) -> list[Path]:
    """The pages that explain the last decisions, the winner's first."""
    winner = read_winner(workspace)
    first = winner.stem if winner is not None else None
    return sorted(workspace.stage("selection").glob("*.html"), key=lambda page: (page.stem != first, page.stem))


def is_taken_in(folder: Path) -> bool:
    """Whether a source's manifest is there."""
    return any(folder.glob("*.parquet"))


def _what_ran(changes: Mapping[Stage, Any]) -> str:
    return f"done: {', '.join(name for name in STAGES if name in changes)}" if changes else "nothing has changed"


def _is_proposed(settings: Settings, params: Params, workspace: Workspace) -> bool:
    """Whether the journal knows all that was let through, or there is nothing to propose."""
    winner, targets = read_winner(workspace), read_target_winners(workspace)
    winners = [*([winner] if winner is not None else []), *targets.values()]
    if not winners:
        return True
    from components.promotion.audit import history

    journal = open_journal(settings)
    rows = history(journal, workload=params.workload, catalog=params.catalog)
    known = {(row.target, row.decision) for row in rows}
    return all((one.target, one.digest) in known or _serves(journal, params, one) for one in winners)


def _serves(journal: Journal, params: Params, winner: Winner) -> bool:
    champion = journal.champion(ChampionKey(params.workload, params.catalog, winner.target))
    return champion is not None and champion.model == winner.decision.digests["candidate"]


def _plan(workspace: Workspace, graph: Graph, sources: Mapping[str, str | None]) -> Answer:
    named = {name: address for name, address in sources.items() if address is not None}
    missing = [name for name in SOURCE_NAMES if not is_taken_in(workspace.source(name)) and name not in named]
    if "catalog" in missing:
        raise ConfigError("no catalogue yet: name one with --catalog DIR")
    fresh = [name for name in SOURCE_NAMES if not is_taken_in(workspace.source(name))]
    news = [f"the sources {', '.join(fresh)} are new"]
    changes = dict.fromkeys(STAGES, news) if fresh else graph.changes()
    rows = [(stage, "runs" if stage in changes else "unchanged", "; ".join(changes.get(stage, []))) for stage in STAGES]
    return Answer(
        value={"would_run": dict(changes)},
        tables=[Table(title="what a run would do", columns=("stage", "", "why"), rows=rows)],
    )


def _tell(settings: Settings, params: Params, changes: Mapping[Stage, Any]) -> Answer:
    workspace = Workspace.from_settings(settings)
    decisions = read_decisions(workspace)
    champion = champion_of(settings, params)
    winner = read_winner(workspace)
    rows = [
        (name, decision.outcome, _rates(decision), " ".join(decision.reasons)) for name, decision in decisions.items()
    ]
    promoted = champion is not None and winner is not None and champion.model == winner.decision.digests["candidate"]
    after = [_what_ran(changes), *(f"report: {page}" for page in report_pages(workspace))]
    if champion is not None:
        after.append(f"champion: version {champion.version}, Bento {champion.bento}; `detent serve` answers with it")
    if winner is not None and not promoted:
        after.append("the winner is proposed: `detent status` shows it, `detent approve` promotes it")
    served = read_target_winners(workspace)
    at_work = {name for name, one in served.items() if _serves(open_journal(settings), params, one)}
    for name, one in served.items():
        after.append(f"target {name}: {one.candidate} is {'its champion' if name in at_work else 'proposed'}")
    return Answer(
        value={
            "ran": [name for name in STAGES if name in changes],
            "winner": winner.candidate if winner is not None else None,
            "promoted": promoted,
            "targets": {
                name: {"candidate": one.candidate, "promoted": name in at_work} for name, one in served.items()
            },
            "decisions": {name: decision.outcome for name, decision in decisions.items()},
            "champion": champion.model if champion is not None else None,
            "bento": champion.bento if champion is not None else None,
            "reports": [str(page) for page in report_pages(workspace)],
        },
        tables=[Table(title="decisions", columns=("candidate", "decision", "on search", "because"), rows=rows)],
        after=after,
        exit_code=0 if winner is not None else GATE_SAID_NO,
    )


def _rates(decision: Any) -> str:
    counts = decision.counts
    if counts is None:
        return "-"
    flips = f", {counts.negative_flips} negative flips" if decision.digests.get("champion") else ""
    return f"{100 * counts.new_accuracy:.1f}% right of {counts.n}{flips}"
