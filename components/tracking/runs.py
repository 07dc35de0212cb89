"""Tells the story of a release to MLflow: one parent run a release, one child a stage or candidate.

Every run carries the process that writes it, so that what a killed process left RUNNING can be found.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.core.processes import is_dead, process_mark
from components.tracking.store import EXPERIMENT, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"
NOTE = "mlflow.note.content"
PROCESS = "detent.process"
_MAX_PARAM_LENGTH = 6000


@dataclass(frozen=True, slots=True)
class Tracker:
    """Writes runs to one store; make it with `Tracker.open`."""

    client: MlflowClient
    experiment_id: str
    address: str

    @classmethod
    def open(cls, address: str, *, home: Path) -> Tracker:
        """A tracker on the store at `address`; UnavailableError when nothing answers."""
        client = open_store(address, home=home)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None  # open_store made it
        return cls(client, experiment.experiment_id, address)

    @contextmanager
    def run(self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> Iterator[str]:
        """A run for as long as the block lasts; yields its id. An exception ends it as FAILED, Ctrl-C as KILLED."""
        own = {NAME: name, PROCESS: process_mark(), **(tags or {})}
        if parent is not None:
            own[PARENT] = parent
        run_id = self.client.create_run(self.experiment_id, tags=own, run_name=name).info.run_id
        try:
            yield run_id
        except Exception as error:
            self.client.set_tag(run_id, NOTE, f"failed: {error}")
            self.client.set_terminated(run_id, "FAILED")
            raise
        except BaseException:
            self.client.set_terminated(run_id, "KILLED")
            raise
        self.client.set_terminated(run_id, "FINISHED")

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write parameters (nested ones flattened with dots), numbers and tags in one request."""
        from mlflow.entities import Metric, Param, RunTag

        now_ms = _now_ms()
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, float(value), now_ms, 0) for key, value in (metrics or {}).items()],
            params=[Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in _flatten(params or {})],
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
        )

    def log_curve(self, run_id: str, name: str, values: Sequence[float]) -> None:
        """Write one number per step, from step 1."""
        from mlflow.entities import Metric

        now_ms = _now_ms()
        self.client.log_batch(run_id, metrics=[Metric(name, v, now_ms, i) for i, v in enumerate(values, 1)])

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Keep a file, or a whole folder, as an artefact of the run."""
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), folder or path.name)
        else:
            self.client.log_artifact(run_id, str(path), folder)

    def finished(self, tags: Mapping[str, str]) -> Run | None:
        """The newest finished run that carries all of `tags`."""
        parts = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
        found = self.client.search_runs(
            [self.experiment_id], " and ".join(["attributes.status = 'FINISHED'", *parts]), max_results=1
        )
        return found[0] if found else None

    def end_ghosts(self) -> list[str]:
        """Mark runs FAILED that are RUNNING though the process of this machine that wrote them is gone."""
        ended = []
        for run in self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'", max_results=1000):
            if is_dead(run.data.tags.get(PROCESS, "")):
                self.client.set_tag(run.info.run_id, NOTE, "ended by reconcile: its process was gone")
                self.client.set_terminated(run.info.run_id, "FAILED")
                ended.append(run.info.run_id)
        return ended


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from _flatten(item, f"{name}.")
        else:
            yield name, item


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
