"""Runs one stage of a session: only if DVC says that something changed, and on record in MLflow and dvc.lock."""

from __future__ import annotations

import logging
import time
from typing import Any

from components.core.errors import DetentError
from components.core.stages import StageReport, read_report
from components.core.workloads import StageInput
from components.core.workspace import Stage
from components.tracking.registry import DIGEST, register_model
from flows.session import Session

log = logging.getLogger(__name__)


def worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    """Whether another try may help: yes for a store or a disk that hiccups, no for bad data or a refusal."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and not isinstance(error, (DetentError, FileNotFoundError))


RETRIES: dict[str, Any] = {"retries": 2, "retry_delay_seconds": [1, 10], "retry_condition_fn": worth_retrying}


def perform(session: Session, stage: Stage) -> StageReport:
    """Run a stage if it must be, and return its report; an unchanged stage's report is read back."""
    folder = session.workspace.stage(stage)
    reasons = session.graph.changes((stage,)).get(stage)
    if reasons is None:
        log.info("%s: unchanged", stage)
        return read_report(folder)
    log.info("%s: %s", stage, "; ".join(reasons[:3]))
    with session.tracker.run(stage, parent=session.run_id, tags={"detent.stage": stage}) as run_id:
        started = time.perf_counter()
        with session.graph.recording(stage):
            report = session.workload.stages[stage].run(
                StageInput(workspace=session.workspace, params=session.params, workload=session.workload)
            )
            seconds = time.perf_counter() - started
        session.tracker.log(run_id, metrics={"stage_seconds": seconds})
        _tell(session, stage, run_id, report)
    return report


def metric_rows(report: StageReport) -> list[dict[str, Any]]:
    """A report's numbers as the rows of a table."""
    return [{"figure": name, "value": value} for name, value in report.metrics.items()]


def _tell(session: Session, stage: Stage, run_id: str, report: StageReport) -> None:
    folder = session.workspace.stage(stage)
    session.tracker.log(run_id, metrics=report.metrics, tags={f"detent.{k}": v for k, v in report.facts.items()})
    for name in report.pictures:
        session.tracker.log_file(run_id, folder / name)
    prefixed = {f"{stage}.{name}": value for name, value in report.metrics.items()}
    session.tracker.log(session.run_id, metrics=prefixed)
    for name, child in report.children.items():
        _tell_child(session, stage, run_id, name, child)


def _tell_child(session: Session, stage: Stage, parent: str, name: str, child: Any) -> None:
    """A run of its own for a candidate; one with a model folder is registered."""
    with session.tracker.run(name, parent=parent, tags={"detent.stage": stage, "detent.candidate": name}) as run_id:
        session.tracker.log(run_id, params=child.get("params"), metrics=child.get("metrics"), tags=child.get("tags"))
        for curve, values in child.get("curves", {}).items():
            session.tracker.log_curve(run_id, curve, values)
        if "model" in child:
            folder = session.workspace.stage(stage) / child["model"]
            tags = {DIGEST: child["digest"], "detent.candidate": name}
            register_model(session.tracker, session.model_name, folder, run_id=run_id, tags=tags)
