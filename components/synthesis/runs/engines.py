"""Runs the shards of a job where the engine setting says: processes of this machine, a Dask or a Ray cluster.

DETENT_ENGINE is `local` (the default), `dask` or `ray` for a cluster of their own on this machine, or
`dask:tcp://host:8786`, `ray:ADDRESS`. An engine only makes tables; the process that asked writes them, so workers
need no disk in common for the result. One loop serves all engines: it keeps them busy, tries a failed shard again,
and names the one that fails for good.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol

import pyarrow as pa

from components.core.errors import ConfigError, DetentError, StateError
from components.core.manifest import table_from_rows

Row = dict[str, Any]
RETRIES = 2


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


def run_shards(engine: Engine, shards: Sequence[int], *, retries: int = RETRIES) -> Iterator[tuple[int, pa.Table]]:
    """Make the shards, in any order; a failed one is tried `retries` times more.

    StateError names a shard that failed for good. An error of Detent's own tree is no accident and comes out at
    once, with the shard's number. Where several were in flight when a worker died, each is tried again alone, so
    that the one to blame is found and no other is blamed.
    """
    waiting, suspects = deque(shards), deque[int]()
    flying: dict[Any, int] = {}
    failures: Counter[int] = Counter()
    on_trial = False  # the one in flight is a suspect
    while waiting or suspects or flying:
        if suspects and not flying:
            on_trial = True
            shard = suspects.popleft()
            flying[engine.submit(shard)] = shard
        while waiting and not suspects and not on_trial and len(flying) < engine.width:
            shard = waiting.popleft()
            flying[engine.submit(shard)] = shard
        for handle in engine.wait(flying.keys()):
            shard = flying.pop(handle)
            try:
                table = engine.result(handle)
            except DetentError as error:
                raise type(error)(f"shard {shard}: {error}") from error
            except WorkerLostError as error:
                failures[shard] += on_trial
                _give_up_after(retries, shard, failures[shard], error)
                suspects.append(shard)
            except Exception as error:
                failures[shard] += 1
                _give_up_after(retries, shard, failures[shard], error)
                waiting.append(shard)
            else:
                yield shard, table
        on_trial = False


def _give_up_after(retries: int, shard: int, failures: int, error: Exception) -> None:
    if failures > retries:
        raise StateError(
            f"shard {shard} failed {failures} times, at last with {type(error).__name__}: {error}; the other shards "
            "are kept: mend this and run again to go on"
        ) from error


@contextmanager
def open_engine(setting: str, job: Job, *, workers: int) -> Iterator[Engine]:
    """The engine that a setting names, ready to make shards of `job`; it is shut down at the end of the block.

    `workers` is for engines on this machine. ConfigError for an unknown setting, UnavailableError for an engine
    that is not installed or does not answer.
    """
    name, _, address = setting.partition(":")
    if name == "local" and not address:
        with _open_local(job, workers) as engine:
            yield engine
    elif name in ("dask", "ray"):
        from components.synthesis.runs.clusters import open_dask, open_ray

        with (open_dask if name == "dask" else open_ray)(job, address, workers) as engine:
            yield engine
    else:
        raise ConfigError(f"DETENT_ENGINE is {setting!r}; allowed: local, dask, dask:tcp://HOST:8786, ray, ray:ADDRESS")


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


class _InTurn:
    """No process but this one."""

    width = 1

    def __init__(self, job: Job) -> None:
        self._job = job

    def submit(self, shard: int) -> int:
        return shard

    def wait(self, handles: Collection[int]) -> Collection[int]:
        return list(handles)

    def result(self, handle: int) -> pa.Table:
        return make_table(self._job, handle)


class _Processes:
    """Processes of this machine; when one dies, all are started anew."""

    def __init__(self, job: Job, workers: int) -> None:
        self.width = 2 * workers
        self._workers, self._job = workers, job
        self._pool_of: dict[Future[pa.Table], ProcessPoolExecutor] = {}
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, get_context("spawn"), initializer=_keep_job, initargs=(self._job,))

    def submit(self, shard: int) -> Future[pa.Table]:
        try:
            future = self._pool.submit(_make_kept, shard)
        except BrokenProcessPool:
            self._restart(self._pool)
            future = self._pool.submit(_make_kept, shard)
        self._pool_of[future] = self._pool
        return future

    def wait(self, handles: Collection[Future[pa.Table]]) -> Collection[Future[pa.Table]]:
        return wait(handles, return_when=FIRST_COMPLETED).done

    def result(self, handle: Future[pa.Table]) -> pa.Table:
        pool = self._pool_of.pop(handle)
        try:
            return handle.result()
        except BrokenProcessPool as error:
            self._restart(pool)
            raise WorkerLostError("its process was killed, likely for memory (DETENT_WORKERS=1 needs less)") from error

    def _restart(self, broken: ProcessPoolExecutor) -> None:
        if broken is self._pool:
            broken.shutdown(wait=True)
            self._pool = self._start()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _open_local(job: Job, workers: int) -> Iterator[Engine]:
    if workers == 1:
        yield _InTurn(job)
        return
    engine = _Processes(job, workers)
    try:
        yield engine
    finally:
        engine.close()


_kept: Job


def _keep_job(job: Job) -> None:
    global _kept  # noqa: PLW0603 - one job for the life of the process
    _kept = job
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make_kept(shard: int) -> pa.Table:
    return make_table(_kept, shard)
