"""Keeps the memory of the split, `data/placement`: an input that DVC versions, and that only grows.

Validation reads it and writes where each photo stands; that is added to it as soon as validation is through, and
recorded as what validation read, for with its own members in memory it makes the same again. Before a run it is
caught up with what a kill or a run by hand left out, but only when validation must run anyway.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.files import atomic_directory, read_json, write_json
from components.core.workspace import Workspace
from components.validation.members import members_before_memory
from components.validation.placement import (
    FILE,
    MEMBERS,
    Placement,
    merge,
    read_members,
    read_placement,
    write_placement,
)
from components.validation.retirement import Retirement
from components.workloads.rails.looks import open_ledger
from flows.graph import Graph
from flows.office import Office

log = logging.getLogger(__name__)
_PLAN = "plan.json"


def refresh_placement(office: Office) -> None:
    """Before a run: end an interrupted `detent refresh`, and bring the memory up to date if validation must run."""
    finish_refresh(office)
    if (office.workspace.placement / FILE).is_file() and not office.graph.changes(("validation",)):
        return
    keep_memory(office, current_placement(office.workspace, office.graph))


def keep_placement(office: Office) -> None:
    """After validation: add to the memory where it has put the photos."""
    placement = current_placement(office.workspace, office.graph)
    if placement != read_placement(office.workspace.placement):
        keep_memory(office, placement)
        office.graph.adopt("validation", office.workspace.placement)


def keep_memory(office: Office, placement: Placement) -> None:
    """Write the memory, and have DVC track it."""
    write_placement(office.workspace.placement, placement)
    office.graph.track(office.workspace.placement)


def current_placement(workspace: Workspace, graph: Graph) -> Placement:
    """The memory together with where the last validation put the photos.

    A workspace from before there was a memory has its split in validation's manifests. StateError when a split is on
    record and not here: without it every photo would be dealt anew.
    """
    made = workspace.stage("validation")
    pinned = (workspace.placement / FILE).is_file()
    if not pinned and workspace.placement.with_name("placement.dvc").is_file():
        graph.restore(workspace.placement)
    elif not pinned and not made.is_dir() and graph.ran_before("validation"):
        graph.restore(made)
    memory = read_placement(workspace.placement)
    if (made / MEMBERS).is_file():
        return merge(memory, read_members(made / MEMBERS))
    if (made / "photos").is_dir():
        return merge(memory, members_before_memory(made / "photos"))
    return memory


def begin_refresh(workspace: Workspace, retirement: Retirement, *, reason: str, who: str) -> None:
    """Write down what a refresh is about to do, so that it can be finished after a kill."""
    plan = {
        "reason": reason,
        "who": who,
        "to": retirement.to,
        "retired": list(retirement.retired),
        "certify": list(retirement.certify),
        "num_from_reserve": retirement.num_from_reserve,
        "num_new": retirement.num_new,
        "num_left_out": retirement.num_left_out,
    }
    with atomic_directory(_pending(workspace)) as partial:
        write_placement(partial, retirement.placement)
        write_json(partial / _PLAN, plan)


def finish_refresh(office: Office) -> Mapping[str, Any] | None:
    """Do what was written down, whatever part of it was done before; the plan, or None when there is none."""
    folder = _pending(office.workspace)
    if not (folder / _PLAN).is_file():
        return None
    plan = read_json(folder / _PLAN)
    record_retirement(office, plan)
    keep_memory(office, merge(current_placement(office.workspace, office.graph), read_placement(folder)))
    (folder / _PLAN).unlink()
    shutil.rmtree(folder)
    return plan


def record_retirement(office: Office, plan: Mapping[str, Any]) -> None:
    """Put on record that a certify split is retired, before the memory says so; the same plan may come twice."""
    with open_ledger(office.workspace, office.params) as ledger:
        told = ledger.retire(plan["retired"], reason=f"{plan['who']}: {plan['reason']}")
    where = "its account is closed" if told else "no look was ever taken at it"
    log.info("%d photos leave certify for %s; %s", len(plan["retired"]), plan["to"], where)


def _pending(workspace: Workspace) -> Path:
    return workspace.data / ".refresh"
