"""The stages as Prefect tasks: each runs only if DVC says that something changed, on record in MLflow and dvc.lock."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from components.core.errors import DetentError
from components.core.stages import StageReport, read_report
from components.core.workspace import Stage
from components.tracking.registry import DIGEST, register_model
from flows.office import Office
from flows.placement import keep_placement

log = logging.getLogger(__name__)


def worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    """Whether another try may help: yes for a store or a disk that hiccups, no for bad data or a refusal."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and not isinstance(error, (DetentError, FileNotFoundError))


def figures(report: StageReport) -> list[dict[str, Any]]:
    """A report's numbers as the rows of a table."""
    return [{"figure": name, "value": value} for name, value in report.metrics.items()]


def candidates(report: StageReport) -> list[dict[str, Any]]:
    """The numbers of each candidate as a row."""
    return [{"candidate": name, **child.get("metrics", {})} for name, child in report.children.items()]


def sentences(report: StageReport) -> str:
    """What a report says in words."""
    return "\n".join(f"- **{name}**: {text}" for name, text in report.facts.items())


# What stands on the run's page of a stage: what of its report, and under which heading.
PAGES: Mapping[Stage, tuple[Any, str]] = {
    "validation": (figures, "What the checks counted"),
    "synthesis": (figures, "What was made"),
    "training": (candidates, "Candidates, on the search split"),
    "selection": (sentences, "What the gate decided"),
    "packaging": (sentences, "The Bento"),
}


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=worth_retrying,
)
def make(office: Office, stage: Stage) -> StageReport:
    """Run a stage if it must be, and return its report; what a killed run finished of it is kept."""
    report = perform(office, stage)
    if stage == "validation":
        keep_placement(office)
    show, heading = PAGES[stage]
    page = show(report)
    if isinstance(page, str):
        create_markdown_artifact(page, key=stage, description=heading)
    else:
        create_table_artifact(page, key=stage, description=heading)
    return report


def perform(office: Office, stage: Stage) -> StageReport:
    """Run a stage if it must be, and return its report; an unchanged stage's report is read back."""
    folder = office.workspace.stage(stage)
    reasons = office.graph.changes((stage,)).get(stage)
    if reasons is None:
        log.info("%s: unchanged", stage)
        return read_report(folder)
    log.info("%s: %s", stage, "; ".join(reasons[:3]))
    tags = {"detent.stage": stage, "detent.code_digest": office.code[stage]}
    with office.tracker.run(stage, parent=office.run_id, tags=tags) as run_id:
        started = time.perf_counter()
        with office.graph.recording(stage):
            report = office.workload.stages[stage].run(office.given)
            seconds = time.perf_counter() - started
        office.tracker.log(run_id, metrics={"stage_seconds": seconds})
        _tell(office, stage, run_id, report)
    return report


def _tell(office: Office, stage: Stage, run_id: str, report: StageReport) -> None:
    folder = office.workspace.stage(stage)
    office.tracker.log(run_id, metrics=report.metrics, tags={f"detent.{k}": v for k, v in report.facts.items()})
    for name in report.pictures:
        office.tracker.log_file(run_id, folder / name)
    prefixed = {f"{stage}.{name}": value for name, value in report.metrics.items()}
    office.tracker.log(office.run_id, metrics=prefixed)
    for name, child in report.children.items():
        _tell_child(office, stage, run_id, name, child)


def _tell_child(office: Office, stage: Stage, parent: str, name: str, child: Any) -> None:
    """A run of its own for a candidate; one with a model folder is registered."""
    with office.tracker.run(name, parent=parent, tags={"detent.stage": stage, "detent.candidate": name}) as run_id:
        office.tracker.log(run_id, params=child.get("params"), metrics=child.get("metrics"), tags=child.get("tags"))
        for curve, values in child.get("curves", {}).items():
            office.tracker.log_curve(run_id, curve, values)
        if "model" in child:
            folder = office.workspace.stage(stage) / child["model"]
            tags = {DIGEST: child["digest"], "detent.candidate": name}
            register_model(office.tracker, office.model_name, folder, run_id=run_id, tags=tags)
