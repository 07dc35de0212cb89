"""The training stage as a Prefect task: the candidates as a table on the run."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from components.core.stages import StageReport
from flows.session import Session
from flows.stages import RETRIES, perform


@task(name="training", cache_policy=NO_CACHE, persist_result=False, **RETRIES)
def fit_candidates(session: Session) -> StageReport:
    """Fit every candidate; one that a killed run finished is kept, one that it began goes on."""
    report = perform(session, "training")
    rows = [{"candidate": name, **child["metrics"]} for name, child in report.children.items()]
    create_table_artifact(rows, key="training", description="Candidates, on the search split")
    return report
