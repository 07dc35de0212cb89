"""The selection stage as a Prefect task: the decision in words on the run."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from components.core.stages import StageReport
from flows.session import Session
from flows.stages import RETRIES, perform


@task(name="selection", cache_policy=NO_CACHE, persist_result=False, **RETRIES)
def gate_candidates(session: Session) -> StageReport:
    """Hold the candidates against the champion; a refusal is a result, not an error."""
    report = perform(session, "selection")
    lines = [f"- **{name}**: {text}" for name, text in report.facts.items()]
    create_markdown_artifact("\n".join(lines), key="selection", description="What the gate decided")
    return report
