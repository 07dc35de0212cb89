"""The validation stage as a Prefect task: the checks as a table on the run."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from components.core.stages import StageReport
from flows.placement import keep_placement
from flows.session import Session
from flows.stages import RETRIES, metric_rows, perform


@task(name="validation", cache_policy=NO_CACHE, persist_result=False, **RETRIES)
def check_sources(session: Session) -> StageReport:
    """Quarantine what is broken, split the photos and remember how, and stop the run when a blocking check fails."""
    report = perform(session, "validation")
    keep_placement(session.workspace, session.graph)
    create_table_artifact(metric_rows(report), key="validation", description="What the checks counted")
    return report
