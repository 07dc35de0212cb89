"""Ends ghosts: flow runs and MLflow runs left RUNNING by a dead process, and the Prefect servers it had embedded.

Every Detent flow run is tagged with its process (host, number, start time) as it starts to run, and whatever a
process starts inherits that mark. A ghost's process was of this host and is gone; no mark, or another host's,
proves nothing and is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from components.core.processes import OWNER, is_dead, process_mark
from components.promotion.reconciliation import Ghost

if TYPE_CHECKING:
    from components.tracking.runs import Tracker

MARK = "detent.process="
REASON = "ended by reconcile: its process was gone"
_EMBEDDED = "PREFECT__SERVER_EPHEMERAL"  # what Prefect sets for a server that it embeds
_PAGE = 200
_ALIVE = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def record_process(flow: Any, flow_run: Any, state: Any) -> None:
    """Tag a flow run with this process; give it to every flow as `on_running=[record_process]`."""
    del flow, state
    tags = [tag for tag in flow_run.tags if not tag.startswith(MARK)]
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags=[*tags, MARK + process_mark()])


def end_flow_ghosts() -> Sequence[Ghost]:
    """Mark the flow runs of dead processes, and their tasks, as crashed; returns those flow runs."""
    with get_client(sync_client=True) as client:
        ghosts = [run for run in _alive_runs(client) if any(is_dead(mark) for mark in _marks(run))]
        for run in ghosts:
            for task in _alive_tasks(client, run):
                client.set_task_run_state(task.id, Crashed(message=REASON), force=True)
            client.set_flow_run_state(run.id, Crashed(message=REASON), force=True)
    return [Ghost(kind="flow run", id=str(run.id), name=run.name, reason=REASON) for run in ghosts]


def end_server_ghosts() -> Sequence[Ghost]:
    """Stop the embedded Prefect servers of dead processes; returns them. Those of other users are not seen."""
    ghosts = []
    for process in psutil.process_iter(["environ"]):
        if _serves_the_dead(process.info["environ"] or {}):
            with suppress(psutil.NoSuchProcess):
                process.terminate()
                ghosts.append(Ghost(kind="Prefect server", id=str(process.pid), name="", reason=REASON))
    return ghosts


def end_tracked_ghosts(tracker: Tracker) -> Sequence[Ghost]:
    """Mark the MLflow runs of dead processes as failed; returns them."""
    return [Ghost(kind="MLflow run", id=run_id, name="", reason=REASON) for run_id in tracker.end_ghosts()]


def _serves_the_dead(environ: Mapping[str, str]) -> bool:
    return _EMBEDDED in environ and is_dead(environ.get(OWNER, ""))


def _marks(run: Any) -> list[str]:
    return [tag.removeprefix(MARK) for tag in run.tags if tag.startswith(MARK)]


def _alive_runs(client: SyncPrefectClient) -> list[Any]:
    """All of them before the first is ended, since pages shift as runs end."""
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_ALIVE)))
    return list(_pages(lambda offset: client.read_flow_runs(flow_run_filter=states, limit=_PAGE, offset=offset)))


def _alive_tasks(client: SyncPrefectClient, run: Any) -> list[Any]:
    own = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    states = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_ALIVE)))

    def read(offset: int) -> Sequence[Any]:
        return client.read_task_runs(flow_run_filter=own, task_run_filter=states, limit=_PAGE, offset=offset)

    return list(_pages(read))


def _pages(read: Any) -> Iterator[Any]:
    offset = 0
    while page := read(offset):
        yield from page
        offset += len(page)
