"""A million relit images in one run: 20 models, 50 views of each, 1,000 lights a view, transfers streamed from disk.

NUM_IMAGES scales it, views before lights, and below a million no goal is told. A killed run goes on: time and memory
are written down as it works and added up over its parts. The images are removed at the end.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

import psutil

from components.core.files import read_json, write_json
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import Plan, plan_synthesis
from components.synthesis.runs.shards import fill_shards
from tests.benchmarks.figures import SHORT, Figure
from tests.benchmarks.imaging.lab import HOME, SEED, TRANSFERS, backgrounds, furniture, models

NUM_IMAGES = int(os.environ.get("NUM_IMAGES") or (10_000 if SHORT else 1_000_000))
NUM_MODELS, MOST_LIGHTS = 20, 1000
GOAL_S, GOAL_GROWTH = 600.0, 1.1
_FULL = 1_000_000
_BEAT_S = 1.0


def measure_million() -> list[Figure]:
    """Make them all; time, memory and disk."""
    return list(_measured(HOME / "million", HOME / "million-journal.json"))


def _measured(out: Path, record: Path) -> Iterator[Figure]:
    plan = _plan()
    ((name, lot),) = plan.lots.items()
    journal = Journal(record)
    started = time.perf_counter()
    traced = lot.prepare()
    journal.add(num_traced=traced, trace_s=time.perf_counter() - started)
    with journal.watching(out, lot.num_shards):
        fill_shards(out, lot.job, recipe=plan.recipe, num_shards=lot.num_shards, title=lot.title, prefix=name)
    seconds, images, told = journal.value("fill_s"), lot.num_images, lot.num_images >= _FULL
    transfers = [lot.job.transfers.path(view.key) for view in lot.job.views]  # type: ignore[attr-defined]
    sizes = {"images": _gib(out.iterdir()), "transfers": _gib(transfers)}
    views = f"{NUM_MODELS} models x {len(transfers) // NUM_MODELS} views x {images // len(transfers)} lights"
    shutil.rmtree(out)
    record.unlink()
    yield Figure(
        name=f"{images:,} images of 128 px in one run ({views}), seconds",
        value=seconds,
        goal=f"<= {GOAL_S:.0f}",
        met=seconds <= GOAL_S if told else None,
        spread=f"{images / seconds:,.0f} a second; tracing apart",
    )
    yield Figure(
        name=f"tracing the {journal.value('num_traced'):.0f} views that were not there yet, seconds",
        value=journal.value("trace_s"),
    )
    early, late = journal.value("peak_early_mib"), journal.value("peak_mib")
    yield Figure(
        name="peak memory of all processes, the whole run over its first tenth",
        value=late / early,
        goal=f"<= {GOAL_GROWTH}",
        met=late / early <= GOAL_GROWTH if told else None,
        spread=f"{early:,.0f} MiB at 10%, {late:,.0f} MiB at 100%",
    )
    yield Figure(name="disk that the images take, GiB", value=sizes["images"], spread="removed again")
    yield Figure(name="disk that the transfers take, GiB", value=sizes["transfers"], spread="streamed, one at a time")


class Journal:
    """Seconds and memory of a run in parts, kept in a file as it works, so that a kill loses a second at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, float] = read_json(path) if path.is_file() else {}

    def value(self, name: str) -> float:
        """What was noted so far."""
        return self._values.get(name, 0.0)

    def add(self, **values: float) -> None:
        """Add to sums, and write them down."""
        for name, value in values.items():
            self._values[name] = self.value(name) + value
        write_json(self._path, self._values)

    @contextmanager
    def watching(self, out: Path, num_shards: int) -> Iterator[None]:
        """Note time and peak memory while the block works; the peak of the first tenth of shards apart."""
        done, before = threading.Event(), self.value("fill_s")
        started = time.perf_counter()

        def watch() -> None:
            while not done.wait(_BEAT_S):
                self._values["fill_s"] = before + time.perf_counter() - started
                self._note_memory(out, num_shards)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._values["fill_s"] = before + time.perf_counter() - started
            done.set()
            watcher.join()
            self._note_memory(out, num_shards)

    def _note_memory(self, out: Path, num_shards: int) -> None:
        memory = _memory_mib()
        self._values["peak_mib"] = max(self.value("peak_mib"), memory)
        if sum(1 for _ in out.glob("*.parquet")) <= max(1, num_shards / 10):
            self._values["peak_early_mib"] = max(self.value("peak_early_mib"), memory)
        self._values.setdefault("peak_early_mib", memory)
        write_json(self._path, self._values)


def _plan() -> Plan:
    views = ceil(NUM_IMAGES / NUM_MODELS / MOST_LIGHTS)
    lights = ceil(NUM_IMAGES / NUM_MODELS / views)
    config = SynthesisConfig.model_validate(
        {
            "num_per_class": views * lights,
            "size_px": 128,
            "generators": {"renders": {"share": 1.0, "views_per_model": views, "lights_per_view": lights}},
        }
    )
    return plan_synthesis(models(furniture()[:NUM_MODELS]), backgrounds(), config, seed=SEED + 7, cache=TRANSFERS)


def _memory_mib() -> float:
    """What this process and its workers hold in memory; shared pages count once in each."""
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def _gib(files: Iterable[Path]) -> float:
    return sum(path.stat().st_size for path in files) / 2**30
