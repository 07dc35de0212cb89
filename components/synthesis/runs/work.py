"""What engines work on and what they are: jobs that make the rows of a shard, and what is asked for a table of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import pyarrow as pa

from components.core.manifest import table_from_rows

Row = dict[str, Any]  # a row of the manifest


class Job(Protocol):
    """What makes the rows of a shard; it is pickled once for every worker process."""

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard, the same for the same shard number, always."""
        ...


class WorkerLostError(Exception):
    """The process that worked on a shard is gone: killed, out of memory, or its machine was."""


class Engine(Protocol):
    """Takes shard numbers and gives tables back; handles are whatever the engine knows a shard's work by."""

    width: int  # shards to keep in flight

    def submit(self, shard: int) -> Any:
        """Start work on a shard; returns its handle."""
        ...

    def wait(self, handles: Collection[Any]) -> Collection[Any]:
        """Wait until at least one is done; returns those that are."""
        ...

    def result(self, handle: Any) -> pa.Table:
        """The table of a finished shard, or what its work raised; WorkerLostError when its process is gone."""
        ...


def make_table(job: Job, shard: int) -> pa.Table:
    """A shard's rows as a table of the manifest; every engine's workers run this and nothing else.

    One thread: more would share the cores that other shards work on, and how a matrix product is split between
    threads may show in its last bit.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            return table_from_rows(job.rows(shard))
    finally:
        cv2.setNumThreads(threads)
