"""How fast images are made, from the order to the shards on disk, and beside it what others take for the same.

Two worker processes on the local engine; a rate counts everything from starting them to the last shard's rename:
light, camera model, masks, boxes, factors, encoding and Parquet. Transfers were traced before, and are timed apart.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from statistics import mean

from components.synthesis.config import SynthesisConfig
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.transfer_store import TransferStore
from components.synthesis.renders.transfers import Tracing
from components.synthesis.stock import Stock
from tests.benchmarks.figures import SHORT, Figure
from tests.benchmarks.imaging.compositing import ROWS_PER_SHARD, composite
from tests.benchmarks.imaging.lab import HOME, SEED, Made, backgrounds, furniture, icons, make_afresh, met, models
from tests.benchmarks.imaging.lighted import subjects
from tests.benchmarks.imaging.reference import trace_view
from tests.benchmarks.imaging.tracers import Cost, cycles_cost, direct_cost, find_targets
from tests.benchmarks.imaging.yardstick import encoder_figure

NUM_MODELS = 20
LIGHTS = {128: 150 if SHORT else 1000, 256: 25 if SHORT else 250}  # images of each view
VIEWS = 1 if SHORT else 2
PER_CLASS = {128: 40 if SHORT else 600, 256: 12 if SHORT else 150}  # pastes of each class
FEW_PER_CLASS = 4 if SHORT else 40  # their time is taken off where the start is not to count
GOALS = {128: 1700.0, 256: 400.0}
GOAL_DIRECT, GOAL_COMPOSITOR = 100.0, 3.0
_NUM_TRACED = 3 if SHORT else 10


def measure_speed() -> list[Figure]:
    """The machine, renders and pastes a second at both sizes, their peers, what a view costs before it pays."""
    figures = [encoder_figure()]
    renders = {size: _renders(size) for size in GOALS}
    figures += [_rate("relit renders", size, made) for size, made in renders.items()]
    pastes = {size: _pastes(size, PER_CLASS[size]) for size in GOALS}
    figures += [_rate("pastes", size, made) for size, made in pastes.items()]
    figures += _tracers(renders[128].per_s)
    figures += [_compositor(size, made) for size, made in pastes.items()]
    return figures


def _renders(size_px: int) -> Made:
    """Renders of 20 models whose views lie in the cache already."""
    lights = LIGHTS[size_px]
    config = {
        "num_per_class": VIEWS * lights,
        "size_px": size_px,
        "generators": {"renders": {"share": 1.0, "views_per_model": VIEWS, "lights_per_view": lights}},
    }
    return make_afresh(models(furniture()[:NUM_MODELS]), config)


def _pastes(size_px: int, num_per_class: int) -> Made:
    return make_afresh(icons(), {"num_per_class": num_per_class, "size_px": size_px})


def _rate(what: str, size_px: int, made: Made) -> Figure:
    goal = GOALS[size_px]
    return Figure(
        name=f"{what} a second at {size_px} px, end to end, two processes",
        value=made.per_s,
        goal=f">= {goal:,.0f}",
        met=met(made.per_s >= goal),
        spread=f"{made.num_images:,} images in {made.fill_s:.1f} s, start of the processes included",
    )


def _tracers(per_s: float) -> Iterator[Figure]:
    """The path tracers at equal quality, what a transfer costs, and from how many relights on it pays."""
    targets = find_targets()
    direct = direct_cost(targets)
    ratio = per_s * direct.seconds
    yield Figure(
        name="the same renders by Mitsuba's path tracer at equal quality, images a second",
        value=1 / direct.seconds,
        goal=f"<= 1/{GOAL_DIRECT:.0f} of ours",
        met=met(ratio >= GOAL_DIRECT),
        peer="Mitsuba, tracing alone",
        ratio=ratio,
        spread=_cost(direct),
    )
    cycles = cycles_cost(targets)
    yield Figure(
        name="the same renders by Blender's Cycles at equal quality, images a second",
        value=1 / cycles.seconds if isinstance(cycles, Cost) else 0.0,
        peer="Cycles, rendering alone" if isinstance(cycles, Cost) else "",
        ratio=per_s * cycles.seconds if isinstance(cycles, Cost) else None,
        spread=_cost(cycles) if isinstance(cycles, Cost) else cycles,
    )
    for size_px in GOALS:
        seconds, mib = _transfer_cost(size_px)
        yield Figure(
            name=f"transfer of a view at {size_px} px, seconds", value=seconds, spread=f"{mib:.2f} MiB on disk"
        )
        if size_px == 128:
            relights = seconds / (direct.seconds - 1 / per_s)
            yield Figure(name="relights of a view from which its transfer pays against direct tracing", value=relights)


def _transfer_cost(size_px: int) -> tuple[float, float]:
    """Mean seconds and MiB of a transfer, over models and warm."""
    tracing = Tracing(size_px=size_px, num_paths=RendersConfig().num_paths, seed=SEED + 1)
    store, times, sizes = TransferStore(folder=HOME / "weighed"), [], []
    for subject in subjects(_NUM_TRACED):
        trace_view(subject.model, subject.view, Tracing(size_px=size_px, num_paths=tracing.num_paths, seed=SEED))
        started = time.perf_counter()
        transfer = trace_view(subject.model, subject.view, tracing)
        times.append(time.perf_counter() - started)
        sizes.append(store.save(transfer).stat().st_size / 2**20)
    shutil.rmtree(HOME / "weighed")
    return mean(times), mean(sizes)


def _compositor(size_px: int, made: Made) -> Figure:
    """PIL and albumentations in two processes, on the same cut-outs and backgrounds, to the same columns.

    The start of the processes counts on neither side: of both, the time of a small run is taken off a large one's.
    """
    terms = SynthesisConfig(size_px=size_px).terms(SEED)
    stock = Stock(catalog=icons(), backgrounds=backgrounds(), terms=terms)
    few, many = ROWS_PER_SHARD * 2, ROWS_PER_SHARD * (4 if SHORT else 24 if size_px == 128 else 8)
    out, seconds = HOME / "composited", []
    for number in (few, many):
        shutil.rmtree(out, ignore_errors=True)
        started = time.perf_counter()
        composite(stock, "full", number, size_px=size_px, seed=SEED, out=out)
        seconds.append(time.perf_counter() - started)
    shutil.rmtree(out)
    peer = (many - few) / (seconds[1] - seconds[0])
    small = _pastes(size_px, FEW_PER_CLASS)
    ours = (made.num_images - small.num_images) / (made.fill_s - small.fill_s)
    return Figure(
        name=f"pastes by PIL and albumentations at {size_px} px, images a second, two processes",
        value=peer,
        goal=f"<= 1/{GOAL_COMPOSITOR:.0f} of ours",
        met=met(ours / peer >= GOAL_COMPOSITOR),
        peer="the same columns",
        ratio=ours / peer,
        spread=f"{many:,} images; the start of the processes counts on neither side: ours so, {ours:,.0f} a second",
    )


def _cost(cost: Cost) -> str:
    return f"{cost.num_paths:.0f} paths a pixel for {cost.decibels:.1f} dB, {cost.seconds:.3f} s an image on all cores"
