"""Pins the champion that a release is compared with: `data/baseline`, an input that DVC versions.

The pin moves to the journal's champion when candidates must be trained again anyway, or when the champion is
neither the pinned one nor this workspace's own product. So a release that was promoted and run again with
nothing changed has nothing to do, though it is champion itself by then.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from components.core.errors import StateError
from components.core.files import atomic_directory, read_json, write_json
from components.core.settings import Settings
from components.core.workspace import STAGES, Workspace
from components.promotion.rows import Champion
from components.workloads.incumbents import INCUMBENT, take_in_incumbent
from components.workloads.params import Params
from flows.desks import model_name, open_journal
from flows.versions import Graph

PIN = "baseline.json"


def champion_of(settings: Settings, params: Params) -> Champion | None:
    """The champion of this workload and catalogue, by the journal."""
    return open_journal(settings).champion(params.workload, params.catalog)


def pinned_digest(workspace: Workspace) -> str | None:
    """The digest of the pinned champion; None when there was none, or nothing is pinned yet."""
    path = workspace.baseline / PIN
    return read_json(path)["model"] if path.is_file() else None


def refresh_baseline(settings: Settings, params: Params, graph: Graph, *, incumbent: Path | None = None) -> bool:
    """Pin the champion, and the anchor if the policy has one, where the pin is out of date; tells if it moved.

    `incumbent` is a model from elsewhere to beat, taken in while there is no champion. StateError when there is one, or
    when a version that is to be pinned is not in MLflow's registry.
    """
    workspace = Workspace.from_settings(settings)
    champion = champion_of(settings, params)
    wanted = champion.model if champion is not None else None
    if incumbent is not None and champion is not None:
        raise StateError(
            f"version {champion.version} is champion already, so an incumbent from elsewhere has no place; leave "
            "--incumbent out"
        )
    if incumbent is None and _is_current(workspace, params, wanted, graph):
        return False
    anchor = params.selection.anchor_version
    with atomic_directory(workspace.baseline) as partial:
        if wanted is not None or anchor is not None:
            from components.tracking.registry import fetch_model, fetch_version
            from components.tracking.runs import Tracker

            tracker = Tracker.open(settings.mlflow_address, home=workspace.home)
            name = model_name(params.workload, params.catalog)
            if wanted is not None:
                fetch_model(tracker, name, wanted, out=partial / "model")
            if anchor is not None:
                fetch_version(tracker, name, anchor, out=partial / "anchor")
        if incumbent is not None:
            take_in_incumbent(incumbent, out=partial / INCUMBENT)
        elif wanted is None and (workspace.baseline / INCUMBENT).is_dir():
            shutil.copytree(workspace.baseline / INCUMBENT, partial / INCUMBENT)
        write_json(partial / PIN, {"model": wanted, "anchor_version": anchor})
    graph.track(workspace.baseline)
    return True


def _is_current(workspace: Workspace, params: Params, wanted: str | None, graph: Graph) -> bool:
    path = workspace.baseline / PIN
    if not path.is_file() or read_json(path)["anchor_version"] != params.selection.anchor_version:
        return False
    if wanted == pinned_digest(workspace):
        return True
    return wanted in _own_products(workspace) and not graph.changes(STAGES[: STAGES.index("training") + 1])


def _own_products(workspace: Workspace) -> set[str]:
    cards = workspace.stage("training").glob("*/candidate.json")
    return {str(read_json(card)["digest"]) for card in cards}
