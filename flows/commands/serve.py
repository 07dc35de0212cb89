"""Serves the champion: `detent serve`."""

from __future__ import annotations

from components.core.workspace import Workspace
from components.packaging.building import find_bento
from components.packaging.projection import champion_bento
from components.serving.server import serve
from components.workloads.registry import find_workload, load_params
from flows.office import prepare


def serve_champion(*, port: int, host: str, tag: str | None, target: str = "") -> None:
    """Serve the champion's Bento, a target's if one is named, or the Bento with this tag, in the foreground."""
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    params = load_params(workspace)
    path = (
        find_bento(workspace.bentos, tag)
        if tag is not None
        else champion_bento(workspace.bentos, params.workload, params.catalog, target)
    )
    serve(path, port=port, host=host, endpoint=find_workload(params.workload).service.endpoint)
