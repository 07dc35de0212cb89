"""Runs and servers of dead processes are ended with the reason; all others are left alone. Two are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.core.processes import OWNER, process_mark

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

KILLED_WITH_ITS_SERVER = "from flows.office import prepare\nprepare()\n" + CHILD


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


def test_the_embedded_server_of_a_killed_flow_is_stopped_and_those_of_the_living_are_left(tmp_path: Path) -> None:
    from flows.ghosts import REASON, end_server_ghosts

    environment = os.environ | {"DETENT_HOME": str(tmp_path), "PREFECT_LOGGING_LEVEL": "ERROR"}
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_API_DATABASE_CONNECTION_URL"):
        environment.pop(name, None)
    child = subprocess.run([sys.executable, "-c", KILLED_WITH_ITS_SERVER], env=environment, check=False)
    assert child.returncode == -signal.SIGKILL
    (orphan,) = servers_below(tmp_path)
    living = [idle_server(owner) for owner in (process_mark(), "elsewhere:1:2", "")]
    try:
        assert (str(orphan.pid), REASON) in [(ghost.id, ghost.reason) for ghost in end_server_ghosts()]
        psutil.wait_procs([orphan], timeout=30)
        assert not orphan.is_running()
        assert [server.poll() for server in living] == [None] * len(living)
    finally:
        for server in living:
            server.kill()
            server.wait()


def servers_below(home: Path) -> list[psutil.Process]:
    """Embedded Prefect servers with their state below `home`."""
    environs = ((process, process.info["environ"] or {}) for process in psutil.process_iter(["environ"]))
    return [
        process
        for process, environ in environs
        if "PREFECT__SERVER_EPHEMERAL" in environ and environ.get("PREFECT_HOME", "").startswith(str(home))
    ]


def idle_server(owner: str) -> subprocess.Popen[bytes]:
    """A process that looks like the embedded server of the process with mark `owner`."""
    environment = os.environ | {"PREFECT__SERVER_EPHEMERAL": "1", OWNER: owner}
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environment)
