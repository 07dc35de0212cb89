"""All that a command or a flow needs, opened once: settings, workspace, parameters, workload and the stores.

Each part is made when it is first asked for, so that a command that needs no MLflow does not wait for it, and
params.yaml is read once a command.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from components.core.champions import Champion, ChampionKey
from components.core.errors import ConfigError, DetentError, StateError
from components.core.settings import Settings, prepare_environment
from components.core.workloads import StageInput, Workload
from components.core.workspace import STAGES, Stage, Workspace
from components.promotion.actors import Actor, current_actor
from components.promotion.desk import Desk
from components.promotion.journal import Journal
from components.workloads.rails.code import code_of, release_code, write_code
from components.workloads.rails.params import Params
from components.workloads.registry import find_workload, load_params
from flows.graph import Graph
from flows.layout import check_pipeline
from flows.mirrors import full_desk, open_journal, paper_desk

if TYPE_CHECKING:
    from components.tracking.runs import Tracker


class Office:
    """One command's view of one workspace; open it with `Office.open`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workspace = Workspace.from_settings(settings)
        self._run_id: str | None = None

    @classmethod
    def open(cls) -> Office:
        """The office of this process's environment, which is made ready: no telemetry, logs on standard error."""
        return cls(prepare())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """What Prefect may write down of an office that a flow was given: the settings can hold a password."""
        yield from (("workload", self.params.workload), ("catalog", self.params.catalog))

    @property
    def title(self) -> str:
        """What this is a release of, for people."""
        return f"{self.params.workload} on {self.params.catalog}"

    @cached_property
    def params(self) -> Params:
        """params.yaml; ConfigError names what is wrong with it."""
        return load_params(self.workspace)

    @cached_property
    def workload(self) -> Workload:
        """The workload that params.yaml names."""
        return find_workload(self.params.workload)

    @cached_property
    def graph(self) -> Graph:
        """DVC's graph of the stages, told of the code that runs."""
        graph = Graph(self.workspace.root)
        write_code(self.workload, self.workspace)
        return graph

    @cached_property
    def code(self) -> Mapping[Stage, str]:
        """The digest of each stage's code."""
        return code_of(self.workload, self.workspace)

    @cached_property
    def journal(self) -> Journal:
        """Who let which model through."""
        return open_journal(self.settings)

    @cached_property
    def tracker(self) -> Tracker:
        """The MLflow store."""
        from components.tracking.runs import Tracker

        return Tracker.open(self.settings.mlflow_address, home=self.workspace.home)

    @cached_property
    def paper_desk(self) -> Desk:
        """A desk without mirrors, for verbs that move no champion; it needs no MLflow."""
        return paper_desk(self.journal)

    @cached_property
    def desk(self) -> Desk:
        """The desk with every mirror, and the journal's head anchored in MLflow too."""
        return full_desk(self.journal, self.tracker)

    @cached_property
    def actor(self) -> Actor:
        """Who acts, with the roles that params.yaml gives them."""
        return current_actor(self.params.people, identify=lambda: self.settings.actor)

    @property
    def given(self) -> StageInput:
        """What a stage is given."""
        return StageInput(workspace=self.workspace, params=self.params, workload=self.workload, code=self.code)

    @cached_property
    def model_name(self) -> str:
        """The registered model of this workload and catalogue."""
        from components.tracking.registry import registered_name

        return registered_name(self.tracker, self.params.workload, self.params.catalog)

    def key(self, target: str = "") -> ChampionKey:
        """What there is one champion of here: the main one, or a target's own."""
        return ChampionKey(self.params.workload, self.params.catalog, target)

    def champion(self, target: str = "") -> Champion | None:
        """The champion by the journal, or the one of a target."""
        return self.journal.champion(self.key(target))

    def stages(self, until: Stage | None = None) -> tuple[Stage, ...]:
        """The stages that the workload has, in their order, up to and with one if it is named.

        ConfigError when the workload has no such stage.
        """
        stages = tuple(stage for stage in STAGES if stage in self.workload.stages)
        if until is None:
            return stages
        if until not in stages:
            raise ConfigError(f"workload '{self.workload.name}' has no stage {until}, it has {', '.join(stages)}")
        return stages[: stages.index(until) + 1]

    def changes(self, until: Stage | None = None) -> dict[Stage, list[str]]:
        """The stages that must run, up to and with one if it is named, each with the reasons in words.

        StateError when dvc.yaml is of an earlier version.
        """
        check_pipeline(self.workspace.root, self.workload)
        return self.graph.changes(self.stages(until))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One release at a time in a workspace; StateError when another one is at work."""
        from filelock import FileLock, Timeout

        self.workspace.data.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.workspace.data / ".release.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StateError(
                f"another release is at work in {self.workspace.root}; wait for it, or use a worktree of your own"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def on_record(self, name: str) -> Iterator[None]:
        """Within the block all is told to one parent run of MLflow, `run_id`; ends ghosts of killed runs first."""
        self.tracker.end_ghosts()
        tags = {
            "detent.workload": self.params.workload,
            "detent.catalog": self.params.catalog,
            "detent.code_digest": release_code(self.code),
        }
        with self.tracker.run(name, tags=tags) as run_id:
            self.tracker.log(run_id, params=self.params.model_dump(mode="json"))
            self._run_id = run_id
            try:
                yield
            finally:
                self._run_id = None

    @property
    def run_id(self) -> str:
        """The parent run in MLflow, while one is open."""
        assert self._run_id is not None, "only within `on_record`"
        return self._run_id


def prepare() -> Settings:
    """Read the settings, quieten the dependencies, and log to standard error."""
    settings = Settings()
    prepare_environment(settings)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for name in ("flows", "components"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_is_no_trace)
    return settings


def _is_no_trace(record: logging.LogRecord) -> bool:
    """Drops Prefect's stack trace of an error that the command line tells in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, DetentError) and not record.getMessage().startswith("Finished in state Failed")
