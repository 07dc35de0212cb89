import subprocess
import sys
import time

import psutil

from components.serving import guard

# As BentoML's supervisor does, this one puts its worker into a session of its own.
SUPERVISOR = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(worker.pid, flush=True)
EXTRA
time.sleep(600)
"""


def start(extra: str = "") -> tuple[subprocess.Popen[str], psutil.Process, psutil.Process]:
    command = [sys.executable, "-I", guard.__file__, sys.executable, "-c", SUPERVISOR.replace("EXTRA", extra)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    worker = psutil.Process(int(process.stdout.readline()))
    supervisor = next(item for item in psutil.Process(process.pid).children() if item.pid != worker.pid)
    return process, supervisor, worker


def assert_gone(*processes: psutil.Process) -> None:
    deadline = time.monotonic() + 15
    while any(item.is_running() for item in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [item for item in processes if item.is_running()]


def close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def test_all_processes_end_when_the_owner_closes_the_pipe() -> None:
    process, supervisor, worker = start()
    close(process)
    assert process.returncode == 0
    assert_gone(supervisor, worker)


def test_the_worker_ends_when_its_supervisor_is_killed() -> None:
    process, supervisor, worker = start()
    supervisor.kill()
    process.wait(20)
    assert process.returncode != 0
    assert_gone(supervisor, worker)
    close(process)


def test_a_supervisor_that_does_not_listen_is_killed() -> None:
    process, supervisor, worker = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    close(process)
    assert_gone(supervisor, worker)


def test_a_guard_that_is_told_to_end_takes_all_with_it() -> None:
    process, supervisor, worker = start()
    process.terminate()
    process.wait(20)
    assert_gone(supervisor, worker)
    close(process)


def test_the_exit_code_of_the_server_is_passed_on() -> None:
    command = [sys.executable, "-I", guard.__file__, sys.executable, "-c", "raise SystemExit(7)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(20) == 7
