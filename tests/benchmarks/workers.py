"""Worker processes of the benchmarks that train: a thread each, and none outlives the benchmark."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process


def settle() -> None:
    """One thread for each training, as many of which as there are cores fill them; gone when the benchmark is."""
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "workers have a parent"
    parent.join()
    os._exit(1)
