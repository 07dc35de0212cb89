"""Whether images come out again: the same shards from one process, from two and from each engine, any row alone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from components.core import manifest
from components.core.digests import digest_tree
from components.core.errors import IntegrityError
from components.core.progress import track
from components.synthesis.provenance import Origin, Remaker
from tests.benchmarks.figures import SHORT, Figure
from tests.benchmarks.imaging.lab import HOME, SEED, TRANSFERS, backgrounds, furniture, make_images, mixed

NUM_REMADE = 50 if SHORT else 1000
NUM_CLASSES = 2 if SHORT else 10  # of pictures, and as many models
PER_CLASS = 50 if SHORT else 100
CONFIG = {"num_per_class": PER_CLASS, "size_px": 128, "generators": {"renders": {"views_per_model": 4}}}
ALONE = "1 process"
ENGINES = {"dask": "distributed", "ray": "ray"}


def measure_determinism() -> list[Figure]:
    """Digests over process counts and engines, then rows made again alone."""
    return [*_digests(), *_remade()]


def _catalog() -> Path:
    return mixed(NUM_CLASSES, furniture()[:NUM_CLASSES])


def _digests() -> Iterator[Figure]:
    """The digest of every way to run must be that of one process in turn."""
    ways: dict[str, Mapping[str, str]] = {
        ALONE: {"DETENT_ENGINE": "local", "DETENT_WORKERS": "1"},
        **{f"{n} processes": {"DETENT_ENGINE": "local", "DETENT_WORKERS": str(n)} for n in (2, 3)},
    }
    for engine, package in ENGINES.items():
        if find_spec(package):
            ways[engine] = {"DETENT_ENGINE": engine, "DETENT_WORKERS": "2"}
    digests = {}
    for name, settings in track(ways.items(), "Making the same images", total=len(ways)):
        out = HOME / "alike"
        shutil.rmtree(out, ignore_errors=True)
        with _environment(settings):
            made = make_images(_catalog(), CONFIG, out=out)
        digests[name] = digest_tree(out, "*.parquet")
        shutil.rmtree(out)
    alike = sum(digest == digests[ALONE] for digest in digests.values())
    missing = ", ".join(f"{engine} is not installed" for engine in ENGINES if engine not in digests)
    yield Figure(
        name=f"ways to run that gave the bytes of one process, of {len(ways)} ({made.num_images:,} images each)",
        value=alike,
        goal=f"{len(ways)}",
        met=alike == len(ways),
        spread="; ".join(filter(None, [", ".join(ways), missing])),
    )


def _remade() -> Iterator[Figure]:
    """Random rows, half of them renders and half pastes, each made again by itself from its recipe."""
    out = HOME / "remade"
    make_images(_catalog(), CONFIG, out=out)
    rows = manifest.read(out, ["sample_id", "source"]).to_pylist()
    rng, chosen = np.random.default_rng(SEED), []
    for source in ("render", "paste"):
        ids = sorted({row["sample_id"] for row in rows if row["source"] == source})
        chosen += rng.choice(ids, min(len(ids), NUM_REMADE // 2), replace=False).tolist()
    remaker = Remaker.open(out, Origin(catalog=_catalog(), backgrounds=backgrounds(), cache=TRANSFERS))
    started, alike, why = time.perf_counter(), 0, ""
    for sample in track(chosen, "Remaking"):
        try:
            alike += bool(remaker.remake(sample))
        except IntegrityError as error:
            why = str(error)
    yield Figure(
        name=f"rows made again alone, bit for bit, of {len(chosen):,}",
        value=alike,
        goal=f"{len(chosen):,}",
        met=alike == len(chosen),
        spread=why or f"half renders, half pastes; {(time.perf_counter() - started) / len(chosen) * 1e3:.0f} ms each",
    )
    shutil.rmtree(out)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
