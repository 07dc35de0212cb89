"""The engine of this machine: worker processes, or this process alone where one is enough."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

import pyarrow as pa

from components.synthesis.runs.work import Engine, Job, WorkerLostError, make_table


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
def open_local(job: Job, workers: int) -> Iterator[Engine]:
    """Processes of this machine; with one worker, no process but this one."""
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
