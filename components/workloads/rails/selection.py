"""Brings a workspace's release before the gate: its models, its questions and its ledger, judged by its workload."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.core.decisions import Decision
from components.core.errors import StateError
from components.core.samples import SampleSet
from components.core.stages import StageReport
from components.core.workloads import StageInput
from components.core.workspace import Workspace
from components.models.identity import model_digest
from components.selection.review.marks import read_marks
from components.selection.search.record import num_searched, read_record
from components.selection.stage import RESEED, Contest, Judge, Model, decide_pair, decide_release
from components.workloads.rails.code import release_code
from components.workloads.rails.looks import open_ledger, read_membership
from components.workloads.rails.records import champion_folder, evaluation_digest

if TYPE_CHECKING:
    from components.workloads.rails.params import Params


def gate(given: StageInput, *, champion: Path | None, out: Path) -> StageReport:
    """Decide on every candidate of the release and write decisions, verdicts on search and winner.json to `out`."""
    workspace, params = given.workspace, given.params
    folders = sorted(workspace.stage("training").glob("*/model"))
    models = {folder.parent.name: _model(folder) for folder in folders}
    reseed = models.pop(RESEED, None)
    contest = Contest(
        champion=_model(champion) if champion is not None else None,
        candidates=models,
        reseed=reseed,
        own=_own_champions(workspace, params, champion),
        targets=params.selection.targets,
        record=read_record(workspace.stage("training")),
        num_tried=max(len(models), num_searched(workspace.stage("training"))),
        **_common(given),
    )
    ledger = partial(open_ledger, workspace, params)
    return decide_release(contest, params.selection.policy, judge=_judge(given), open_ledger=ledger, out=out)


def gate_pair(given: StageInput, *, old: Path, new: Path, out: Path) -> Decision:
    """Decide whether one model may replace another, as one look that the workspace's ledger charges."""
    workspace, params = given.workspace, given.params
    num_tried = max(1, num_searched(workspace.stage("training")))
    contest = Contest(champion=_model(old), candidates={"new": _model(new)}, num_tried=num_tried, **_common(given))
    ledger = partial(open_ledger, workspace, params)
    return decide_pair(contest, params.selection.policy, judge=_judge(given), open_ledger=ledger, out=out)


def _common(given: StageInput) -> dict[str, Any]:
    """What does not hang on who is held against whom; read once a release."""
    workspace, params = given.workspace, given.params
    membership = read_membership(workspace)
    anchor = workspace.baseline / "anchor"
    return {
        "search": _questions(workspace.samples("search")),
        "certify": _questions(workspace.samples("certify")),
        "replay": workspace.samples("replay"),
        "anchor": _model(anchor) if anchor.is_dir() else None,
        "wrong_labels": read_marks(workspace.marks),
        "shows": membership.shows,
        "exposed": membership.exposed,
        "certify_share": params.validation.shares.certify,
        "show": given.workload.show,
        "workload": given.workload.name,
        "digests": {"dataset": evaluation_digest(workspace), "code": release_code(given.code)},
    }


def _questions(samples: SampleSet) -> SampleSet:
    """The questions of a split, refused where slices would be missing that the policy may limit."""
    if len(samples) and not samples.path.is_file():
        raise StateError(
            f"{samples.path} is missing, which an earlier version did not write; `detent run validation` makes it, and "
            "leaves every photo in its split"
        )
    return samples


def _judge(given: StageInput) -> Judge:
    return partial(given.workload.judge, cache=given.workspace.cache)


def _model(folder: Path) -> Model:
    return Model(folder=folder, digest=model_digest(folder))


def _own_champions(workspace: Workspace, params: Params, champion: Path | None) -> dict[str, Model]:
    """The champions of targets that run another than the main one."""
    main = model_digest(champion) if champion is not None else None
    folders = {target.name: champion_folder(workspace, target.name) for target in params.selection.targets}
    models = {name: _model(folder) for name, folder in folders.items() if folder not in (None, champion)}
    return {name: model for name, model in models.items() if model.digest != main}
