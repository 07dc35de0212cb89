"""`detent refresh`: retires the certify split and makes the next one of photos that no split has held."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, StateError
from components.selection.gate import words
from components.validation.members import members_of
from components.validation.placement import Placement
from components.validation.retirement import Destination, Retirement, retire
from components.validation.stage import EACH_PHOTO, look
from components.workloads.rails.stages.validation import manifests_of
from flows.answers import Answer
from flows.budget import budget_of, fresh_split_size, is_worn
from flows.office import Office
from flows.placement import begin_refresh, current_placement, finish_refresh
from flows.sources import photo_source, take_in


def refresh_split(
    *,
    reason: str,
    to: Destination = "train",
    photos: str | None = None,
    needed: int | None = None,
    if_worn: bool = False,
) -> Answer:
    """Retire the certify split, whose photos go `to` train or are left out (replay), and make a new one.

    The new one is the reserve and all photos that no split has held. `photos` is taken in as `detent run --photos`
    does, so it holds the old photos too, but only if enough of them are new: StateError with fewer than `needed`, and
    then nothing has changed. By default `needed` is what a good candidate needs at a first look. With `if_worn`
    nothing is done while the next look would still promote a good candidate, so that a schedule may call it. A
    refresh that was interrupted is finished instead of a new one begun.
    """
    if not reason.strip():
        raise ConfigError("say with --reason why the certify split is retired; it stands on record")
    office = Office.open()
    workspace, params = office.workspace, office.params
    with office.lock():
        interrupted = finish_refresh(office)
        if interrupted is not None:
            return _tell(interrupted, "the refresh that was interrupted is finished")
        if if_worn:
            budget = budget_of(workspace, params)
            if budget is not None and not is_worn(budget, params):
                told = f"not worn: {words.next_look(budget)}; nothing was done"
                return Answer(value={"worn": False, "next_level": budget.next_level}, lines=[told])
        memory = current_placement(workspace, office.graph)
        if not memory.photos:
            raise StateError("no photo has been placed yet, so there is no split to retire: `detent run` first")
        with _looked_at(office, photos) as folder:
            retirement = _plan(office, folder, memory=memory, to=to)
        _refuse_too_few(retirement, needed if needed is not None else fresh_split_size(params))
        if photos is not None:
            take_in(office, {photo_source(office.workload).name: photos})
        begin_refresh(workspace, retirement, reason=reason, who=office.settings.actor)
        return _tell(finish_refresh(office) or {}, "the certify split is retired")


@contextmanager
def _looked_at(office: Office, photos: str | None) -> Iterator[Path]:
    """The manifest of the photos that there would be; what is not taken in yet lies there for a while."""
    from components.datasets.sources import ingest

    source = photo_source(office.workload)
    if photos is None:
        yield office.workspace.source(source.name)
        return
    with tempfile.TemporaryDirectory(dir=office.workspace.data, prefix=".refresh.") as folder:
        ingest(photos, out=Path(folder) / source.name, source=source)
        yield Path(folder) / source.name


def _plan(office: Office, photos: Path, *, memory: Placement, to: Destination) -> Retirement:
    workload, config = office.workload, office.params.validation
    rules = workload.rules() if workload.rules is not None else EACH_PHOTO
    findings = look({**manifests_of(workload, office.workspace), "photo": photos}, config, memory, rules=rules)
    labelled = {fact.sample_id for fact in findings.usable() if fact.label is not None}
    members = members_of(findings, split_seed=config.split_seed).photos.values()
    present = [photo for photo in members if photo.sample_id in labelled]
    return retire(memory, present, to=to, is_own_split=findings.grouping.is_own_split)


def _refuse_too_few(retirement: Retirement, needed: int) -> None:
    photos = retirement.placement.photos
    found = len({photos[name].group for name in retirement.certify})  # what is tested by group counts by group
    if found >= needed:
        return
    grouped = f" in {found} groups" if found < len(retirement.certify) else ""
    left_out = (
        f"; {retirement.num_left_out} more are new and cannot serve, as they belong to what a split has held"
        if retirement.num_left_out
        else ""
    )
    origin = f"{retirement.num_from_reserve} in reserve, {retirement.num_new} new"
    raise StateError(
        f"{len(retirement.certify)} photos{grouped} have been in no split ({origin}){left_out}; a certify split needs "
        f"{needed}, so label {needed - found} more of other scenes, and run "
        "`detent refresh --photos DIR` before `detent run` deals them out. Nothing was changed"
    )


def _tell(plan: Mapping[str, Any], what: str) -> Answer:
    where = {"train": "train", "replay": "no split any more"}[plan["to"]]
    left_out = f"; {plan['num_left_out']} new ones belong to what a split has held" if plan["num_left_out"] else ""
    return Answer(
        value={
            "reason": plan["reason"],
            "to": plan["to"],
            "num_retired": len(plan["retired"]),
            "num_certify": len(plan["certify"]),
            **{name: plan[name] for name in ("num_from_reserve", "num_new", "num_left_out")},
        },
        lines=[
            f"{what}: its {len(plan['retired'])} photos go to {where}",
            f"the next one has {len(plan['certify'])} photos: {plan['num_from_reserve']} from the reserve, "
            f"{plan['num_new']} new{left_out}",
            "`detent run` deals by it; 5% is promised for each split by itself",
        ],
    )
