"""Runs the shards of a job where the engine setting says: processes of this machine, a Dask or a Ray cluster.

DETENT_ENGINE is `local` (the default), `dask` or `ray` for a cluster of their own on this machine, or
`dask:tcp://host:8786`, `ray:ADDRESS`. An engine only makes tables; the process that asked writes them, so workers
need no disk in common for the result. One loop serves all engines: it keeps them busy, tries a failed shard again,
and names the one that fails for good.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from components.core.errors import ConfigError, DetentError, StateError
from components.synthesis.runs.clusters import open_dask, open_ray
from components.synthesis.runs.local import open_local
from components.synthesis.runs.work import Engine, Job, WorkerLostError

RETRIES = 2


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
        with open_local(job, workers) as engine:
            yield engine
    elif name in ("dask", "ray"):
        with (open_dask if name == "dask" else open_ray)(job, address, workers) as engine:
            yield engine
    else:
        raise ConfigError(f"DETENT_ENGINE is {setting!r}; allowed: local, dask, dask:tcp://HOST:8786, ray, ray:ADDRESS")
