"""Pins the champion that a release is compared with: `data/baseline`, an input that DVC versions.

The pin moves to the journal's champion when candidates must be trained again anyway, or when the champion is
neither the pinned one nor this workspace's own product. So a release that was promoted and run again with
nothing changed has nothing to do, though it is champion itself by then.
"""

from __future__ import annotations

from components.core.files import atomic_directory, read_json, write_json
from components.core.settings import Settings
from components.core.workspace import STAGES, Workspace
from components.promotion.rows import Champion
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


def refresh_baseline(settings: Settings, params: Params, graph: Graph) -> bool:
    """Pin the champion where the pin is out of date; returns whether it moved."""
    workspace = Workspace.from_settings(settings)
    champion = champion_of(settings, params)
    wanted = champion.model if champion is not None else None
    if (workspace.baseline / PIN).is_file() and (
        wanted == pinned_digest(workspace)
        or (wanted in _own_products(workspace) and not graph.changes(STAGES[: STAGES.index("training") + 1]))
    ):
        return False
    with atomic_directory(workspace.baseline) as partial:
        if wanted is not None:
            from components.tracking.registry import fetch_model
            from components.tracking.runs import Tracker

            tracker = Tracker.open(settings.mlflow_address, home=workspace.home)
            fetch_model(tracker, model_name(params.workload, params.catalog), wanted, out=partial / "model")
        write_json(partial / PIN, {"model": wanted})
    graph.track(workspace.baseline)
    return True


def _own_products(workspace: Workspace) -> set[str]:
    cards = workspace.stage("training").glob("*/candidate.json")
    return {str(read_json(card)["digest"]) for card in cards}
