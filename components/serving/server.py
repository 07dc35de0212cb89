"""Starts a built Bento as a server of its own: in the foreground for `detent serve`, or while a check runs.

The server is `bentoml serve` on the Bento's folder; it imports the source in the Bento, not this one. A guard
process stands between, so that no worker outlives this process, even when it is killed.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from components.core.errors import ConfigError, SourceError, UnavailableError
from components.serving import guard

START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 3 * guard.GRACE_S
_POLL_S = 0.1


def serve(bento_path: Path, *, port: int, host: str = "127.0.0.1", endpoint: str = "") -> None:
    """Serve a built Bento in the foreground until Ctrl-C; a line on standard error says when it is ready.

    `endpoint` is what people ask there. UnavailableError names a port that is taken and a server that does not start;
    SourceError a folder that is no Bento.
    """
    check_port(port, host=host)
    with running(bento_path, port=port, host=host) as process:
        try:
            wait_until_ready(process, port=port, host=host)
            sys.stderr.write(
                f"ready: {bento_path.parent.name}:{bento_path.name} answers {endpoint or 'requests'} at "
                f"http://{host}:{port} (Ctrl-C stops it; a new champion is served after a restart)\n"
            )
            code = process.wait()
        except KeyboardInterrupt:
            sys.stderr.write("stopping\n")
            return
    raise UnavailableError(f"the server stopped by itself with exit code {code}; its log above says why")


def check_port(port: int, *, host: str) -> None:
    """Raise UnavailableError when `port` cannot be bound on `host`, ConfigError when they make no sense."""
    if not 0 < port < 65_536:
        raise ConfigError(f"port {port} is out of range: use --port N with N from 1 to 65535")
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigError(f"host {host!r} is no IP address: use 127.0.0.1, or 0.0.0.0 for all interfaces") from error
    try:
        _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "is taken by another program; choose another with --port N, or stop that program"
        else:
            reason = f"cannot be used ({error.strerror}); choose another with --port N, above 1023"
        raise UnavailableError(f"port {port} on {host} {reason}") from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free at this moment; whoever uses it checks that the right server answers there."""
    return _bind(host, 0)


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)
        return int(probe.getsockname()[1])


@contextmanager
def running(
    bento_path: Path, *, port: int, host: str = "127.0.0.1", log: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Bento's server and stop it for sure; its output goes to `log`, or to this process's own."""
    if not (bento_path / "bento.yaml").is_file():
        raise SourceError(f"{bento_path} is no Bento: bento.yaml is missing there; run the packaging stage")
    process = subprocess.Popen(
        [sys.executable, "-I", guard.__file__, *_server_command(bento_path, port, host)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=bento_path,
        env=_environment(),
        start_new_session=True,  # Ctrl-C reaches this process, which then stops the server in order
    )
    try:
        yield process
    finally:
        _stop(process)


def wait_until_ready(
    process: subprocess.Popen[bytes], *, port: int, host: str = "127.0.0.1", timeout_s: float = START_TIMEOUT_S
) -> None:
    """Wait for `GET /readyz` to answer 200; UnavailableError when the server ends or time runs out before."""
    import httpx

    deadline = time.monotonic() + timeout_s
    with httpx.Client(base_url=_address(host, port), timeout=timeout_s, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise UnavailableError(f"the server ended with exit code {process.returncode} before it was ready")
            try:
                if client.get("/readyz", timeout=1.0).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(_POLL_S)
    raise UnavailableError(f"the server was not ready after {timeout_s:g} s; look at its log, or allow it more time")


def _server_command(bento_path: Path, port: int, host: str) -> list[str]:
    return [sys.executable, "-m", "bentoml", "serve", str(bento_path), "--host", host, "--port", str(port)]


def _address(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**own, "BENTOML_DO_NOT_TRACK": "True", "PYTHONDONTWRITEBYTECODE": "1"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
