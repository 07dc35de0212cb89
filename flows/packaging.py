"""The packaging stage as a Prefect task."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from components.core.stages import StageReport
from flows.session import Session
from flows.stages import RETRIES, perform


@task(name="packaging", cache_policy=NO_CACHE, persist_result=False, **RETRIES)
def package_winner(session: Session) -> StageReport:
    """Build the Bento of a candidate that the gate let through, and prove that it answers alike."""
    report = perform(session, "packaging")
    lines = [f"- **{name}**: {text}" for name, text in report.facts.items()]
    create_markdown_artifact("\n".join(lines), key="packaging", description="The Bento")
    return report
