"""Retrains on a schedule: what `detent run release` does, as a flow that a Prefect worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import flow

from flows.commands.run import run_release
from flows.ghosts import record_process


@flow(name="retraining", persist_result=False, on_running=[record_process])
def retrain(
    workload: str, catalog: str | None = None, photos: str | None = None, backgrounds: str | None = None
) -> Mapping[str, Any]:
    """Take in what has come to the sources since, and release; a source that is not named stays as it was.

    Where nothing has changed nothing is done. Returns what `detent run release --json` prints.
    """
    sources = {"catalog": catalog, "photos": photos, "backgrounds": backgrounds}
    return run_release("release", workload=workload, sources=sources).value
