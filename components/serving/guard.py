"""Runs a server command and makes sure that none of its processes outlives the owner of this one.

The owner holds the other end of standard input: when that closes, because the owner closed it or was killed,
the server is asked to stop and whatever is left of it is killed. Run as a script: `guard.py COMMAND...`.
The server gets a BentoML home of its own, since two servers that share one delete each other's metrics.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from types import FrameType

GRACE_S = 3.0
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run `command` until it ends or the owner goes; returns its exit code, or 0 when it was asked to stop."""
    _adopt_orphans()
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="detent-serving-") as home:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**os.environ, "BENTOML_HOME": home})
        asked = threading.Event()
        threading.Thread(target=_stop_with_owner, args=(server, asked), daemon=True).start()
        try:
            code = server.wait()
        finally:
            _kill_descendants()
    return 0 if asked.is_set() else code


def _stop_with_owner(server: subprocess.Popen[bytes], asked: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    asked.set()
    server.terminate()
    try:
        server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        server.kill()


def _leave(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise SystemExit(0)


def _kill_descendants() -> None:
    import psutil

    left = psutil.Process().children(recursive=True)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=GRACE_S)


def _adopt_orphans() -> None:
    """Workers whose supervisor dies become children of this process (Linux), where they are found."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
