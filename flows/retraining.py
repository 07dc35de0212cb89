"""Retrains on a schedule: what `detent run release` does, as a flow that a Prefect worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import flow

from flows.commands.run import run_release
from flows.ghosts import record_process


@flow(name="retraining", persist_result=False, on_running=[record_process])
def retrain(workload: str, sources: dict[str, str] | None = None) -> Mapping[str, Any]:
    """Take in what has come to the sources since, and release; a source that is not named stays as it was.

    `sources` are addresses by the names that the workload has for them. Where nothing has changed nothing is done.
    Returns what `detent run release --json` prints.
    """
    return run_release("release", workload=workload, sources=sources or {}).value
