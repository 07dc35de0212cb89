"""The whole chain on one screen: from sources to a proposal. Read this first.

Each line is a stage that runs only when DVC says that something it depends on has changed; the last one puts
what the gate let through before the people who promote.
"""

from __future__ import annotations

from prefect import flow

from components.core.settings import Settings
from components.core.workspace import STAGES, Stage
from flows.ghosts import end_flow_ghosts, end_server_ghosts, record_process
from flows.packaging import package_winner
from flows.proposals import Outcome, propose_winners
from flows.selection import gate_candidates
from flows.session import open_session
from flows.synthesis import make_images
from flows.training import fit_candidates
from flows.validation import check_sources

TASKS = {
    "validation": check_sources,
    "synthesis": make_images,
    "training": fit_candidates,
    "selection": gate_candidates,
    "packaging": package_winner,
}


@flow(
    name="release",
    flow_run_name="release of {workload} on {catalog}",
    persist_result=False,
    on_running=[record_process],
)
def release(workload: str, catalog: str) -> Outcome:
    """Validate, synthesise, train, select, package, propose; workload and catalogue are those of params.yaml."""
    end_flow_ghosts()
    end_server_ghosts()
    with open_session(Settings(), name=f"release of {workload} on {catalog}") as session:
        check_sources(session)
        make_images(session)
        fit_candidates(session)
        gate_candidates(session)
        package_winner(session)
        return propose_winners(session)


@flow(name="stages", flow_run_name="{stage} and what it needs", persist_result=False, on_running=[record_process])
def run_until(stage: Stage) -> None:
    """Run the chain up to and with one stage; nothing is proposed."""
    with open_session(Settings(), name=stage) as session:
        for name in STAGES[: STAGES.index(stage) + 1]:
            TASKS[name](session)
