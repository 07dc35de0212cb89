"""Pins the champions that a release is compared with: `data/baseline`, an input that DVC versions.

There is the main one, and one for each target of params.yaml that has a champion of its own. A pin moves to the
journal's champion when candidates must be trained again anyway, or when the champion is
neither the pinned one nor this workspace's own product. So a release that was promoted and run again with
nothing changed has nothing to do, though it is champion itself by then.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from components.core.errors import ConfigError, IntegrityError, StateError
from components.core.files import atomic_directory, read_json, write_json
from components.core.workspace import Workspace
from components.models.identity import model_digest
from components.workloads.rails.records import INCUMBENT, PIN, pinned_digest, target_champion
from flows.office import Office


def refresh_baseline(office: Office, *, incumbent: Path | None = None) -> bool:
    """Pin the champion, and the anchor if the policy has one, where the pin is out of date; tells if it moved.

    `incumbent` is a model from elsewhere to beat, taken in while there is no champion. ConfigError when the workload
    takes in none, StateError when there is a champion, or when a version that is to be pinned is not in MLflow's
    registry.
    """
    workspace, champion = office.workspace, office.champion()
    wanted = {"": champion.model if champion is not None else None, **_target_champions(office)}
    if incumbent is not None and champion is not None:
        raise StateError(
            f"version {champion.version} is champion already, so an incumbent from elsewhere has no place; leave "
            "--incumbent out"
        )
    if incumbent is None and _is_current(office, wanted):
        return False
    main, targets = wanted[""], {name: digest for name, digest in wanted.items() if name}
    with atomic_directory(workspace.baseline) as partial:
        _fetch(office, wanted, out=partial)
        if incumbent is not None:
            _take_in(office, incumbent, out=partial / INCUMBENT)
        elif main is None and (workspace.baseline / INCUMBENT).is_dir():
            shutil.copytree(workspace.baseline / INCUMBENT, partial / INCUMBENT)
        anchor = office.params.selection.anchor_version
        write_json(partial / PIN, {"model": main, "anchor_version": anchor, "targets": targets})
    office.graph.track(workspace.baseline)
    return True


def _take_in(office: Office, incumbent: Path, *, out: Path) -> None:
    if office.workload.take_in is None:
        raise ConfigError(
            f"workload '{office.workload.name}' takes in no model from elsewhere; leave --incumbent out, and its first "
            "release becomes the champion"
        )
    office.workload.take_in(incumbent, out)


def _target_champions(office: Office) -> dict[str, str]:
    """The digests of the targets' own champions, of those that have one."""
    found = {target.name: office.champion(target.name) for target in office.params.selection.targets}
    return {name: champion.model for name, champion in found.items() if champion is not None}


def _fetch(office: Office, wanted: Mapping[str, str | None], *, out: Path) -> None:
    """Bring the models that are to be pinned from MLflow's registry."""
    anchor = office.params.selection.anchor_version
    models = {name: digest for name, digest in wanted.items() if digest is not None}
    if not models and anchor is None:
        return
    from components.tracking.registry import fetch_model, fetch_version

    name = office.model_name
    for target, digest in models.items():
        folder = target_champion(out, target) if target else out / "model"
        fetch_model(office.tracker, name, digest, out=folder)
        found = model_digest(folder)
        if found != digest:
            raise IntegrityError(
                f"MLflow's registry holds {found[:12]} as '{name}' {digest[:12]}, the champion: restore its artifacts "
                "from a backup, or roll back to another champion"
            )
    if anchor is not None:
        fetch_version(office.tracker, name, anchor, out=out / "anchor")


def _is_current(office: Office, wanted: Mapping[str, str | None]) -> bool:
    workspace = office.workspace
    path = workspace.baseline / PIN
    if not path.is_file() or read_json(path)["anchor_version"] != office.params.selection.anchor_version:
        return False
    names = wanted.keys() | read_json(path).get("targets", {}).keys()
    moved = {wanted.get(name) for name in names if wanted.get(name) != pinned_digest(workspace, name)}
    if not moved:
        return True
    return moved <= _own_products(workspace) and not office.changes("training")


def _own_products(workspace: Workspace) -> set[str]:
    cards = workspace.stage("training").glob("*/candidate.json")
    return {str(read_json(card)["digest"]) for card in cards}
