"""Fills a manifest folder shard by shard, on the engine that is set, and goes on where a killed run stopped.

A shard is a pure function of (recipe, seed, shard number), so its bytes do not depend on how many processes
work, where, or in which order. `recipe.json` beside the shards says which recipe they follow; a folder that
follows another recipe is emptied first, a folder that was not made here is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, StateError
from components.core.files import read_json, write_json
from components.core.manifest import write_table
from components.core.progress import track
from components.core.settings import Settings
from components.synthesis.runs.engines import open_engine, run_shards
from components.synthesis.runs.work import Job

RECIPE = "recipe.json"


def fill_shards(
    out: Path, job: Job, *, recipe: Mapping[str, Any], num_shards: int, title: str, prefix: str = "shard"
) -> int:
    """Write the shards called `prefix` that `out` lacks; returns how many were written now.

    StateError when `out` holds shards without a recipe, or when a shard failed again and again (it is named).
    ConfigError or UnavailableError when the engine cannot be had.
    """
    claim_folder(out, recipe)
    missing = [shard for shard in range(num_shards) if not shard_path(out, shard, prefix=prefix).exists()]
    if not missing:
        return 0
    workers = min(num_workers(), len(missing))
    with open_engine(Settings().engine, job, workers=workers) as engine:
        for shard, table in track(run_shards(engine, missing), title, total=len(missing)):
            write_table(shard_path(out, shard, prefix=prefix), table)
    return len(missing)


def is_filled(out: Path, recipe: Mapping[str, Any], *, prefix: str, num_shards: int) -> bool:
    """Whether all shards called `prefix` are there and follow `recipe`."""
    record = out / RECIPE
    if not record.is_file() or read_json(record) != recipe:
        return False
    return all(shard_path(out, shard, prefix=prefix).exists() for shard in range(num_shards))


def claim_folder(out: Path, recipe: Mapping[str, Any]) -> None:
    """Make `out` follow `recipe`: shards of another recipe are removed, before its recipe file is replaced."""
    record, shards = out / RECIPE, sorted(out.glob("*.parquet"))
    if record.exists():
        if read_json(record) == recipe:
            return
    elif shards:
        raise StateError(f"{out} holds shards that no recipe.json explains; choose another folder or empty this one")
    for path in shards:
        path.unlink()
    write_json(record, recipe)


def shard_path(out: Path, shard: int, *, prefix: str = "shard") -> Path:
    """Where a shard lies."""
    return out / f"{prefix}-{shard:05d}.parquet"


def num_workers() -> int:
    """Processes to use: DETENT_WORKERS, or one for each core that this process may use."""
    text = os.environ.get("DETENT_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"DETENT_WORKERS must be a whole number of processes from 1 up, got {text!r}")
    return int(text)
