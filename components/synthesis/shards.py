"""Fills a manifest folder shard by shard, in parallel processes, and goes on where a killed run stopped.

A shard is a pure function of (recipe, seed, shard number), so its bytes do not depend on how many processes
work or in which order. `recipe.json` beside the shards says which recipe they follow; a folder that follows
another recipe is emptied first, a folder that was not made here is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from components.core.errors import ConfigError, StateError
from components.core.files import read_json, write_json
from components.core.manifest import write_shard
from components.core.progress import track

Row = dict[str, Any]


class Job(Protocol):
    """What makes the rows of a shard; it is pickled once for every worker process."""

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard, the same for the same shard number, always."""
        ...


def fill_shards(out: Path, job: Job, *, recipe: Mapping[str, Any], num_shards: int, title: str) -> int:
    """Write the shards that `out` lacks; returns how many were written now.

    StateError when `out` holds shards without a recipe, or when a worker process died; run again to go on.
    """
    claim_folder(out, recipe)
    missing = [shard for shard in range(num_shards) if not shard_path(out, shard).exists()]
    workers = min(num_workers(), len(missing))
    done = _in_processes(out, job, missing, workers) if workers > 1 else _in_turn(out, job, missing)
    return sum(1 for _ in track(done, title, total=len(missing)))


def claim_folder(out: Path, recipe: Mapping[str, Any]) -> None:
    """Make `out` follow `recipe`: shards of another recipe are removed, before its recipe file is replaced."""
    record, shards = out / "recipe.json", sorted(out.glob("shard-*.parquet"))
    if record.exists():
        if read_json(record) == recipe:
            return
    elif shards:
        raise StateError(f"{out} holds shards that no recipe.json explains; choose another folder or empty this one")
    for path in shards:
        path.unlink()
    write_json(record, recipe)


def shard_path(out: Path, shard: int) -> Path:
    """Where a shard lies."""
    return out / f"shard-{shard:05d}.parquet"


def num_workers() -> int:
    """Processes to use: DETENT_WORKERS, or one for each core that this process may use."""
    text = os.environ.get("DETENT_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"DETENT_WORKERS must be a whole number of processes from 1 up, got {text!r}")
    return int(text)


def row_rng(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one row: a function of the seed and its place (shard, index, ...) alone."""
    return np.random.default_rng(np.random.SeedSequence([seed, *place]))


def _in_turn(out: Path, job: Job, missing: list[int]) -> Iterator[int]:
    for shard in missing:
        write_shard(shard_path(out, shard), job.rows(shard))
        yield shard


def _in_processes(out: Path, job: Job, missing: list[int], workers: int) -> Iterator[int]:
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker, initargs=(out, job)) as pool:
        futures = [pool.submit(_work, shard) for shard in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise StateError(f"a worker making {out} was killed, likely for memory; run again to go on") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Path, Job]


def _start_worker(out: Path, job: Job) -> None:
    global _worker  # noqa: PLW0603 - one job for the life of the process
    import cv2

    cv2.setNumThreads(1)
    _worker = out, job


def _work(shard: int) -> int:
    out, job = _worker
    write_shard(shard_path(out, shard), job.rows(shard))
    return shard
