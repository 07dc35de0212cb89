"""The whole chain on one screen, from what a user brings to a proposal. Read this first.

All before `chain` is quick, so that a run with nothing to do ends without Prefect. In the chain each stage runs only
where DVC says that something it depends on has changed; at its end what the gate let through is put before the people
who promote.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.core.workspace import Stage
from flows.baseline import refresh_baseline
from flows.layout import check_pipeline
from flows.office import Office
from flows.placement import refresh_placement
from flows.sources import take_in
from flows.winners import all_proposed


def release(
    office: Office,
    *,
    sources: Mapping[str, str] | None = None,
    incumbent: Path | None = None,
    until: Stage | None = None,
) -> Mapping[Stage, list[str]]:
    """Take in, deal, pin, and run what has changed; returns the stages that ran, each with its reasons.

    `until` is the last stage to run; without it what the gate lets through is proposed. `incumbent` is a model from
    elsewhere to hold and to beat, while there is no champion. StateError when another release is at work here.
    """
    check_pipeline(office.workspace.root, office.workload)
    with office.lock():
        take_in(office, sources or {})
        refresh_placement(office)
        refresh_baseline(office, incumbent=incumbent)
        return run_changed(office, until=until)


def run_changed(office: Office, *, until: Stage | None = None) -> Mapping[Stage, list[str]]:
    """Start Prefect for what has to be done, if anything has; returns what `release` does."""
    changes = office.changes(until)
    if changes or (until is None and not all_proposed(office)):
        from prefect import flow

        from flows.ghosts import record_process

        name = "release" if until is None else "stages"
        title = f"{until or name} of {office.title}"
        as_flow = flow(name=name, flow_run_name=title, persist_result=False, on_running=[record_process])
        as_flow(chain)(office, until)
    return changes


def chain(office: Office, until: Stage | None) -> None:
    """What Prefect runs: validation, synthesis, training, selection and packaging, where there are such; proposals."""
    from flows.ghosts import end_flow_ghosts, end_server_ghosts
    from flows.promotion import propose_winners
    from flows.stages import make

    end_flow_ghosts()
    end_server_ghosts()
    with office.on_record(until or f"release of {office.title}"):
        for stage in office.stages(until):
            make(office, stage)
        if until is None:
            propose_winners(office)
