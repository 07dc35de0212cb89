"""The engines that are clusters, Dask and Ray: optional extras, imported only when the setting names them.

Workers need Detent installed, and for renders the transfers below DETENT_HOME at the same path.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pyarrow as pa

from components.core.errors import UnavailableError
from components.synthesis.runs.work import Engine, Job, WorkerLostError, make_table

_JOB = "detent_job"
_TIMEOUT_S = 30


def _make_on_worker(shard: int) -> pa.Table:
    worker = import_module("distributed").get_worker()
    return make_table(getattr(worker, _JOB), shard)


class _Dask:
    def __init__(self, distributed: Any, client: Any, job: Job) -> None:
        # a plugin reaches workers that come later, too; data that was sent ahead dies with its worker
        class JobOnWorkers(distributed.WorkerPlugin):  # type: ignore[misc]
            def setup(self, worker: Any) -> None:
                setattr(worker, _JOB, job)

        client.register_plugin(JobOnWorkers(), name=_JOB)
        self._distributed, self._client = distributed, client
        self.width = max(2, 2 * sum(client.ncores().values()))

    def submit(self, shard: int) -> Any:
        return self._client.submit(_make_on_worker, shard, pure=False)

    def wait(self, handles: Collection[Any]) -> Collection[Any]:
        return list(self._distributed.wait(list(handles), return_when="FIRST_COMPLETED").done)

    def result(self, handle: Any) -> pa.Table:
        try:
            return handle.result()
        except self._distributed.KilledWorker as error:
            raise WorkerLostError(f"Dask lost the workers that tried it ({error})") from error
        finally:
            handle.release()


@contextmanager
def open_dask(job: Job, address: str, workers: int) -> Iterator[Engine]:
    """A Dask cluster at an address, or one of `workers` processes on this machine if that is empty."""
    distributed = _import("distributed", extra="dask")
    quiet = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": f"{_TIMEOUT_S}s"}
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with import_module("dask").config.set(quiet):
        try:
            cluster = None if address else distributed.LocalCluster(**local, silence_logs=logging.CRITICAL)
            client = distributed.Client(cluster or address, timeout=_TIMEOUT_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise UnavailableError(
                f"no Dask scheduler answers at {address or 'this machine'} ({error}); check DETENT_ENGINE"
            ) from error
        try:
            yield _Dask(distributed, client, job)
        finally:
            client.close()
            if cluster is not None:
                cluster.close()


class _Ray:
    def __init__(self, ray: Any, job: Job) -> None:
        self._ray, self._job = ray, ray.put(job)
        self._make = ray.remote(make_table).options(max_retries=0, num_cpus=1)
        self.width = max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))

    def submit(self, shard: int) -> Any:
        return self._make.remote(self._job, shard)

    def wait(self, handles: Collection[Any]) -> Collection[Any]:
        return list(self._ray.wait(list(handles), num_returns=1)[0])

    def result(self, handle: Any) -> pa.Table:
        errors = self._ray.exceptions
        try:
            return self._ray.get(handle)
        except errors.RayTaskError as error:
            raise (error.cause or error) from None
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            raise WorkerLostError(f"Ray lost the worker that tried it ({type(error).__name__})") from error


@contextmanager
def open_ray(job: Job, address: str, workers: int) -> Iterator[Engine]:
    """A Ray cluster at an address, or one of `workers` processes on this machine if that is empty."""
    ray = _import("ray", extra="ray")
    where = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise UnavailableError(f"no Ray cluster answers at {address} ({error}); check DETENT_ENGINE") from error
    try:
        yield _Ray(ray, job)
    finally:
        ray.shutdown()


def _import(name: str, *, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise UnavailableError(
            f"the engine {extra} is not installed ({error}): pip install 'detent[{extra}]', or set DETENT_ENGINE=local"
        ) from error
