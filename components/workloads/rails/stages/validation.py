"""Sources in; clean manifests with splits, what is asked of each and a page of checks out, by the workload's rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.core.digests import digest_tree
from components.core.manifest import Source
from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput, Step, Workload
from components.core.workspace import Workspace
from components.workloads.rails.records import champion_folder


def validation(given: StageInput) -> StageReport:
    """Sources in; clean manifests with splits, the questions of each and a page of checks out."""
    from components.validation.stage import EACH_PHOTO, validate

    workspace, config = given.workspace, given.params.validation
    out = workspace.stage("validation")
    summary = validate(
        manifests_of(given.workload, workspace),
        config,
        out=out,
        report=workspace.reports / "validation.html",
        rules=given.workload.rules() if given.workload.rules is not None else EACH_PHOTO,
        placement=workspace.placement,
        champion=champion_folder(workspace) if config.scenes.features == "champion" else None,
    )
    failed = [f"{result.check.code} {result.check.sentence}" for result in summary.results if result.status == "failed"]
    report = StageReport(
        metrics=summary.metrics,
        facts={"warnings": "; ".join(failed) or "none", "dataset_digest": digest_tree(out, "*.parquet")},
        pictures=("report.html",),
    )
    write_report(out, report)
    return report


def validation_step(*sources: str) -> Step:
    """The stage for a workload whose sources have these names."""
    return Step(run=validation, sections=("validation",), reads=(*sources, "placement"))


def manifests_of(workload: Workload, workspace: Workspace) -> Mapping[Source, Path]:
    """The manifest of each source by what its rows are."""
    return {source.rows: workspace.data / source.name for source in workload.sources}
