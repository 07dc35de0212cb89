"""What every stage of one run shares: settings, workspace, parameters, the graph and the parent MLflow run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components.core.settings import Settings
from components.core.workloads import Workload
from components.core.workspace import Workspace
from components.tracking.runs import Tracker
from components.workloads.rails.params import Params
from components.workloads.rails.records import code_digest
from components.workloads.registry import find_workload, load_params
from flows.graph import Graph
from flows.mirrors import model_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of a flow; open it with `open_session`."""

    settings: Settings
    workspace: Workspace
    params: Params
    workload: Workload
    graph: Graph
    tracker: Tracker
    run_id: str

    @property
    def model_name(self) -> str:
        """The registered model of this workload and catalogue."""
        return model_name(self.params.workload, self.params.catalog)


@contextmanager
def open_session(settings: Settings, *, name: str) -> Iterator[Session]:
    """Open the stores and a parent run called `name`; ends ghosts of killed runs first."""
    workspace = Workspace.from_settings(settings)
    params = load_params(workspace)
    tracker = Tracker.open(settings.mlflow_address, home=workspace.home)
    tracker.end_ghosts()
    tags = {"detent.workload": params.workload, "detent.catalog": params.catalog, "detent.code_digest": code_digest()}
    with tracker.run(name, tags=tags) as run_id:
        tracker.log(run_id, params=_plain(params))
        yield Session(
            settings=settings,
            workspace=workspace,
            params=params,
            workload=find_workload(params.workload),
            graph=Graph(workspace.root),
            tracker=tracker,
            run_id=run_id,
        )


def _plain(params: Params) -> Mapping[str, Any]:
    return params.model_dump(mode="json")
