"""Runs of dead processes are ended with the reason; all others are left alone. One process is really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from components.tracking.runs import process_mark

pytestmark = pytest.mark.filterwarnings("ignore")

CHILD = """
import os, signal
from prefect import flow, task
from flows.ghosts import record_process

@task
def work():
    os.kill(os.getpid(), signal.SIGKILL)

@flow(name="killed", on_running=[record_process])
def killed():
    work()

killed()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness():
        yield str(PREFECT_API_URL.value())


def start_run(client: Any, tags: list[str]) -> Any:
    from prefect import flow
    from prefect.states import Running

    return client.create_flow_run(flow(lambda: None, name="started"), state=Running(), tags=tags)


def test_a_killed_flow_is_ended_and_the_living_are_left(server: str) -> None:
    from prefect.client.orchestration import get_client

    from flows.ghosts import MARK, REASON, end_flow_ghosts

    environment = os.environ | {"PREFECT_API_URL": server, "PREFECT_LOGGING_LEVEL": "ERROR"}
    child = subprocess.run([sys.executable, "-c", CHILD], env=environment, check=False)
    assert child.returncode == -signal.SIGKILL
    with get_client(sync_client=True) as client:
        killed = client.read_flow_runs()[0]
        living = [start_run(client, tags) for tags in ([MARK + process_mark()], [], [MARK + "elsewhere:1:2"])]
        assert killed.state_type.value == "RUNNING"
        assert [(ghost.id, ghost.reason) for ghost in end_flow_ghosts()] == [(str(killed.id), REASON)]
        assert end_flow_ghosts() == []
        after = client.read_flow_run(killed.id)
        assert (after.state_type.value, after.state.message) == ("CRASHED", REASON)
        assert {task.state_type.value for task in client.read_task_runs()} <= {"CRASHED"}
        assert {client.read_flow_run(run.id).state_type.value for run in living} == {"RUNNING"}
