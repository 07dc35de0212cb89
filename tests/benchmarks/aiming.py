"""Does aiming help: more images where the errors are, against as many more at random, on photos held back.

    PYTHONPATH=. python tests/benchmarks/aiming.py            three seeds, about ten minutes on two cores
    SHORT=1 PYTHONPATH=. python tests/benchmarks/aiming.py    one seed, about a minute

For each seed: customers' photos of the 20 built-in classes are taken and dealt out to train, search and held-back; a
small model is trained on the train photos and synthetic images; `find_regions` names where it errs on search; then it
is trained anew with `NUM_MORE` images more, all of them in the named regions (by class and view), and once more with
as many at random. Steps, photos and the share of synthetic images in a batch are the same, so only what is made
differs. Where a seed names nothing, the likeliest region is aimed at all the same, and said to be not proven, so that
every seed tells something. `make bench-synthesis` calls `measure_aiming`.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from components.core import manifest
from components.core.samples import SampleSet, one_an_image
from components.selection.regions.error_regions import find_regions
from components.selection.regions.region_tree import ErrorTable, Region
from components.synthesis.builtin.catalog import render_catalog
from components.synthesis.builtin.customers.photography import photograph_customers
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import synthesise
from components.synthesis.picture.aims import Aim, fits
from components.training.config import TrainingConfig
from components.training.training import TrainingInputs, train
from components.workloads.classification.aiming import Drawn, aims_for, drawn_factors, error_table
from components.workloads.classification.judging import judge
from tests.benchmarks.figures import SHORT, Figure, keep, show

SEEDS = [0] if SHORT else [0, 1, 2]
SIZE_PX = 48
NUM_VIEWS = 9 if SHORT else 15  # catalogue pictures of each class, seen from anywhere: the pool that images are made of
NUM_BASE, NUM_MORE = 600, 600
NUM_PHOTOS = {"train": 800, "search": 1400, "held back": 1600}
TRAINING: dict[str, Any] = {
    "size_px": SIZE_PX,
    "batch": 32,
    "synthetic_share": 0.5,
    "zoom": 0.9,
    "turn_deg": 5.0,
    "mix_share": 0.0,
    "candidates": {"plain": {"widths": [16, 32, 64, 128], "epochs": 24}},
}
ARMS = ("base", "at random", "aimed")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One seed: accuracy of each arm on the held-back photos, overall and in the regions aimed at; which those are."""

    seed: int
    regions: tuple[str, ...]
    proven: bool
    share_inside: float
    overall: dict[str, float]
    inside: dict[str, float]


def main() -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as folder:
        figures = [show(figure) for figure in measure_aiming(Path(folder))]
    keep("aiming", figures)


def measure_aiming(folder: Path) -> list[Figure]:
    """The figures of all seeds; everything is made below `folder`."""
    pool = folder / "pool"
    render_catalog(pool, num_per_class=NUM_VIEWS, size_px=SIZE_PX, seed=0)
    trials = [run_trial(pool, folder / f"seed-{seed}", seed=seed) for seed in SEEDS]
    aimed = [trial for trial in trials if trial.regions]
    told = "; ".join(
        f"seed {t.seed}: {', '.join(t.regions) or 'none'}{'' if t.proven else ' (not proven)'}" for t in trials
    )
    figures = [Figure(name="aiming: seeds that named a region", value=sum(t.proven for t in trials), spread=told)]
    for where in ("overall", "inside"):
        for arm in ARMS:
            values = [getattr(trial, where)[arm] for trial in aimed]
            if values:
                place = "on held-back photos" if where == "overall" else "on those in the regions"
                figures.append(_figure(f"aiming: accuracy {place}, {arm}", values, aimed))
        gains = [getattr(trial, where)["aimed"] - getattr(trial, where)["at random"] for trial in aimed]
        if gains:
            figures.append(_gain(where, gains, aimed))
    return figures


def run_trial(pool: Path, folder: Path, *, seed: int) -> Trial:
    """Train the base, find its errors, train with more images of both kinds, and score all three."""
    splits = _photograph(folder, seed=seed)
    base = make_images(pool, (), folder / "base", num=NUM_BASE, seed=100 * seed)
    table = _judged("base", base, splits, folder, seed=seed)["search"]
    report = find_regions(table, seed=seed)
    likeliest = sorted(report.tests, key=lambda test: test.p)[:1]
    tests = report.named or tuple(replace(test, named=True) for test in likeliest)
    aims, _ = aims_for(replace(report, tests=tests), table, _reachable(pool, base), share=1.0)
    regions = [test.region for test in tests if any(_is_aimed(test.region, aim) for aim in aims)]
    arms = {"base": base}
    for arm, chosen in (("at random", ()), ("aimed", aims)) if aims else ():
        more = make_images(pool, chosen, folder / f"more {arm}", num=NUM_MORE, seed=100 * seed + 50)
        arms[arm] = _together(base, more, folder / f"both {arm}")
    held_back = {arm: _judged(arm, images, splits, folder, seed=seed)["held back"] for arm, images in arms.items()}
    inside = _inside(regions, held_back["base"])
    return Trial(
        seed=seed,
        regions=tuple(region.text() for region in regions),
        proven=bool(report.named),
        share_inside=float(inside.mean()),
        overall={arm: 1 - float(judged.wrong.mean()) for arm, judged in held_back.items()},
        inside={arm: 1 - float(judged.wrong[inside].mean()) for arm, judged in held_back.items()},
    )


def make_images(pool: Path, aims: tuple[Aim, ...], out: Path, *, num: int, seed: int) -> Path:
    """About `num` pastes of the pool's pictures: each aim's share from the views and classes that it names."""
    rows = manifest.read(pool).to_pylist()
    parts: list[tuple[Aim | None, int]] = [(aim, round(num * aim.share)) for aim in aims]
    if not aims:
        parts = [(None, num)]
    for index, (aim, wanted) in enumerate(parts):
        chosen = [row for row in rows if aim is None or fits(_of_views(aim, rows[0]), row["label"], row)]
        if not chosen:
            continue
        manifest.write_shard(out / f"views-{index}" / "shard-00000.parquet", chosen)
        num_classes = len({row["label"] for row in chosen})
        rest = {name: bounds for name, bounds in aim.ranges.items() if f"f_{name}" not in rows[0]} if aim else {}
        config = SynthesisConfig(
            num_per_class=max(1, round(wanted / num_classes)),
            size_px=SIZE_PX,
            aims=(Aim(share=1.0, ranges=rest),) if rest else (),
        )
        synthesise(out / f"views-{index}", None, config, out=out / f"part-{index}", seed=seed + index)
    return _together(*sorted(out.glob("part-*")), out / "all")


def _of_views(aim: Aim, row: dict[str, Any]) -> Aim:
    """The part of an aim that a catalogue picture settles: its class and the side that it is seen from."""
    ranges = {name: bounds for name, bounds in aim.ranges.items() if f"f_{name}" in row}
    return Aim.model_construct(share=aim.share, classes=aim.classes, ranges=ranges)


def _reachable(pool: Path, base: Path) -> list[Drawn]:
    """What can be aimed at: classes and views by choosing pictures, and what the generator of pastes draws itself."""
    (views,), (pastes,) = drawn_factors(pool), drawn_factors(base)
    return [Drawn(classes=views.classes, numbers={**pastes.numbers, **views.numbers})]


def _together(*folders: Path) -> Path:
    """All shards of some manifests in one, the last of `folders`."""
    *sources, out = folders
    out.mkdir(parents=True)
    for index, source in enumerate(sources):
        for shard in manifest.shards(source):
            shutil.copyfile(shard, out / f"{index}-{shard.name}")
    return out


def _photograph(folder: Path, *, seed: int) -> dict[str, Path]:
    """Customers' photos dealt out to the splits; classes take turns, so each split holds all of them alike."""
    photograph_customers(folder / "photos", num_photos=sum(NUM_PHOTOS.values()), size_px=SIZE_PX, seed=seed)
    rows, start = manifest.read(folder / "photos").to_pylist(), 0
    for split, number in NUM_PHOTOS.items():
        manifest.write_shard(folder / split / "shard-00000.parquet", rows[start : start + number])
        start += number
    return {split: folder / split for split in NUM_PHOTOS}


def _judged(name: str, synthetic: Path, splits: dict[str, Path], folder: Path, *, seed: int) -> dict[str, ErrorTable]:
    """Train on photos and these images (once a name), and give the errors on search and the held-back photos."""
    classes = sorted(set(manifest.read(splits["train"], ["label"])["label"].to_pylist()))
    inputs = TrainingInputs(
        train=splits["train"],
        search=splits["search"],
        synthetic=synthetic,
        classes=tuple(classes),
        champion=None,
        code="benchmark",
        cache=folder / "cache",
        scratch=folder / "scratch",
    )
    train(inputs, TrainingConfig.model_validate(TRAINING), out=folder / "models" / name, seed=seed)
    model = folder / "models" / name / "plain" / "model"
    asked = {split: SampleSet(images=splits[split], path=folder / "no table") for split in ("search", "held back")}
    return {
        split: error_table(judge(model, asked[split], cache=folder / "cache"), one_an_image(splits[split]))
        for split in ("search", "held back")
    }


def _is_aimed(region: Region, aim: Aim) -> bool:
    """Whether an aim came from a region: it narrows the same factors, and the same classes."""
    factors = {condition.factor for condition in region.conditions if not condition.words}
    words = {condition.words for condition in region.conditions if condition.factor == "class"}
    return set(aim.ranges) == factors and words == ({aim.classes} if aim.classes else set())


def _inside(regions: list[Region], table: ErrorTable) -> np.ndarray:
    return np.any([region.holds(table) for region in regions], axis=0) if regions else np.zeros(len(table), bool)


def _figure(name: str, values: list[float], trials: list[Trial]) -> Figure:
    return Figure(name=name, value=mean(values), seeds=[trial.seed for trial in trials], spread=_spread(values))


def _gain(where: str, gains: list[float], aimed: list[Trial]) -> Figure:
    """Points that aiming gained over chance; met when it did on average, left open in a short run."""
    share = mean(trial.share_inside for trial in aimed)
    place = "overall" if where == "overall" else f"inside the regions ({share:.0%} of the photos)"
    return Figure(
        name=f"aiming: accuracy gained over as many at random, {place}",
        value=mean(gains),
        goal="> 0",
        met=None if SHORT else mean(gains) > 0,
        seeds=[trial.seed for trial in aimed],
        spread=_spread(gains),
    )


def _spread(values: list[float]) -> str:
    return f"{', '.join(f'{value:.3f}' for value in values)}" + (f"; sd {stdev(values):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
