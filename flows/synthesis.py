"""The synthesis stage as a Prefect task."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from components.core.stages import StageReport
from flows.session import Session
from flows.stages import RETRIES, metric_rows, perform


@task(name="synthesis", cache_policy=NO_CACHE, persist_result=False, **RETRIES)
def make_images(session: Session) -> StageReport:
    """Make labelled images from the catalogue; shards that a killed run finished are kept."""
    report = perform(session, "synthesis")
    create_table_artifact(metric_rows(report), key="synthesis", description="What was made")
    return report
