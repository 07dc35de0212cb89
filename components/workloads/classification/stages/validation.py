"""Sources in; clean manifests with splits, classes and a page of checks out."""

from __future__ import annotations

from pathlib import Path

from components.core.digests import digest_tree
from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput
from components.workloads.classification.params import ClassificationParams
from components.workloads.rails.records import champion_folder


def validation(given: StageInput) -> StageReport:
    """Sources in; clean manifests with splits, classes and a page of checks out."""
    from components.core import samples
    from components.datasets.splits import DEALT, RESERVE
    from components.validation.stage import Sources, validate
    from components.workloads.classification.questions import ask_classes

    workspace, params = given.workspace, _params(given)
    sources = Sources(
        catalog=workspace.source("catalog"),
        photos=workspace.source("photos"),
        backgrounds=workspace.source("backgrounds"),
        placement=workspace.placement,
        champion=champion_folder(workspace) if params.validation.scenes.features == "champion" else None,
    )
    out = workspace.stage("validation")
    page = workspace.reports / "validation.html"
    summary = validate(sources, params.validation, out=out, report=page)
    splits = (*DEALT, RESERVE)
    asked = ask_classes({split: workspace.samples(split).images for split in splits})
    for split in splits:
        samples.write(workspace.samples(split).path, asked[split])
    failed = [f"{result.check.code} {result.check.sentence}" for result in summary.results if result.status == "failed"]
    return _told(
        out,
        StageReport(
            metrics=summary.metrics,
            facts={"warnings": "; ".join(failed) or "none", "dataset_digest": digest_tree(out, "*.parquet")},
            pictures=("report.html",),
        ),
    )


def _told(out: Path, report: StageReport) -> StageReport:
    write_report(out, report)
    return report


def _params(given: StageInput) -> ClassificationParams:
    assert isinstance(given.params, ClassificationParams)
    return given.params
