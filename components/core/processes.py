"""Which process did something, and whether it is gone: by host, number and start time."""

from __future__ import annotations

import os
import socket
from pathlib import Path

OWNER = "DETENT_OWNER_PROCESS"
"""The environment variable that tells a process which Detent process started it."""


def process_mark() -> str:
    """This process by host, number and start time: numbers are used again, the three together are not."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_ticks(os.getpid())}"


def is_dead(mark: str) -> bool:
    """Whether the process of a mark ran on this host and is gone; an unreadable mark proves nothing."""
    host, _, rest = mark.rpartition(":")[0].partition(":")
    ticks = mark.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    return _start_ticks(int(rest)) != ticks


def _start_ticks(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "gone"
    return stat.rpartition(")")[2].split()[19]
