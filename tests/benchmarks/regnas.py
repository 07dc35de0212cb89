"""Proof of regression-constrained training and search: flips, accuracy and cost of every treatment at one budget.

    make bench-regnas            20,000 CIFAR-10 images, 15 epochs, 3 seeds (5 for finalists), the grocery photos: hours
    SHORT=1 make bench-regnas    6,000 images, 4 epochs, one seed, one setting: under ten minutes, tells no goal

Killed at any time it goes on where it stood: every trained network, epoch and evaluated sub-network is kept below
$DETENT_HOME/bench/regnas. REGNAS_IMAGES, _EPOCHS, _SEEDS, _FINALIST_SEEDS, _SEARCH and _FINAL change the size.
Prints tables and writes $DETENT_HOME/bench/regnas.json and two frontier pictures.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from components.models.subnets import (
    Space,
    architecture_of,
    enumerate_specs,
    largest,
    multiply_adds,
    photo_space,
    small_image_space,
    smallest,
    to_genes,
)
from components.selection.frontier import Outcome, hypervolume
from components.selection.frontier_picture import Landmarks, Spot, draw_frontier
from components.selection.search import SearchPlan
from components.training.config import Recipe
from tests.benchmarks.figures import SHORT, Figure, keep, show
from tests.benchmarks.flips.arms import ARMS, PARTS, Arm, Reply, Scene, accuracy, chosen_setting, own_reply, reply
from tests.benchmarks.flips.family import Family, searched, train_family
from tests.benchmarks.flips.images import ROOT, cifar, grocery
from tests.benchmarks.flips.lab import Lab, Order
from tests.benchmarks.flips.rates import Rates, interval, rank_correlation, rates, told

HOME = Path(os.environ.get("DETENT_HOME", ".detent")) / "bench" / "regnas"


def _knob(name: str, usual: int, short: int) -> int:
    return int(os.environ.get(f"REGNAS_{name}", short if SHORT else usual))


NUM_IMAGES, NUM_EPOCHS = _knob("IMAGES", 20_000, 6_000), _knob("EPOCHS", 15, 4)
NUM_SEEDS, NUM_FINALIST_SEEDS = _knob("SEEDS", 3, 1), _knob("FINALIST_SEEDS", 5, 1)
NUM_SEARCH, NUM_FINAL = _knob("SEARCH", 5_000, 2_000), _knob("FINAL", 10_000, 4_000)
NUM_EVALUATIONS, NUM_ALONE, NUM_SEARCH_SEEDS = (20, 2, 1) if SHORT else (60, 8, 5)
POPULATION = 12
MAX_LOSS, LESS_THAN_UNTREATED, LESS_THAN_FOCAL = 0.005, 0.5, 0.33
RESEED_OFFSET = 1_000
TELLS = not SHORT and NUM_SEEDS >= 3
FINALIST = "contained, merged outputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm over the seeds: what it reached on the final split, and its costs."""

    name: str
    found: tuple[Rates, ...]
    core_s: float
    multiply_adds: int
    note: str = ""

    def flips(self) -> list[float]:
        """NFR by seed."""
        return [one.flips for one in self.found]

    def accuracies(self) -> list[float]:
        """Accuracy by seed."""
        return [one.accuracy for one in self.found]


def main() -> None:
    """Measure, print and write."""
    if not ROOT.is_dir():
        click.echo(f"the shared data is not at {ROOT}: nothing can be trained")
        return
    figures = [show(figure) for figure in measure()]
    keep("regnas", figures)


def measure() -> Iterator[Figure]:
    """Every part in the order of the report."""
    images = cifar(num_train=NUM_IMAGES, num_search=NUM_SEARCH, num_final=NUM_FINAL)
    lab = Lab(images=images, home=HOME, epochs=NUM_EPOCHS, say=click.echo)
    space = small_image_space(len(images.classes))
    click.echo(f"{images.name}: {len(images.train)} images, {NUM_EPOCHS} epochs; results are kept in {HOME}")
    yield from measure_larger(lab, space)
    yield from measure_more_data(lab, space)
    yield from measure_family(lab, space)
    if not SHORT:
        yield from measure_grocery()


def scene(lab: Lab, space: Space, seed: int, *, data_share: float = 1.0, same: bool = False) -> Scene:
    """Old and untreated new network at a seed; the part is what room the old one leaves beside it.

    `same` gives the new network the old one's architecture, and `data_share` the old one less data.
    """
    small, large = (architecture_of(space, member) for member in (smallest(space), largest(space)))
    old_lab = lab if data_share == 1.0 else replace(lab, images=lab.images.with_share(data_share))
    whole = small if same else large
    return Scene(
        lab=lab,
        seed=seed,
        old=old_lab.train(Order(architecture=small, recipe=Recipe(), seed=500 + seed)),
        untreated=lab.train(Order(architecture=whole, recipe=Recipe(), seed=seed)),
        whole=whole,
        part=small if same else _part(space),
    )


def measure_larger(lab: Lab, space: Space) -> Iterator[Figure]:
    """The larger network in the old one's place: every treatment at one budget and one cost to ask."""
    rows = _tuned_rows(lab, space, ARMS, NUM_SEEDS)
    finalists = _finalists(rows)
    if NUM_FINALIST_SEEDS > NUM_SEEDS:
        again = _tuned_rows(lab, space, [arm for arm in ARMS if arm.name in finalists], NUM_FINALIST_SEEDS)
        rows = {**rows, **again}
    floor = _reseed_floor(lab, space)
    _print_table(f"{lab.images.name}: a new network of about 4 times the multiply-adds", rows, floor)
    _draw(lab, rows, floor)
    yield from _row_figures(lab.images.name, rows, floor)
    yield from _goals(rows)


def measure_more_data(lab: Lab, space: Space) -> Iterator[Figure]:
    """The same architecture trained on twice the data; interpolation of weights is at home here."""
    told_name = f"{lab.images.name}, same architecture, twice the data"
    arms = [arm for arm in ARMS if arm.answer == "own"] + [
        Arm(
            name="interpolated weights",
            settings=tuple({"interpolate": True, "flip_limit": limit} for limit in (0.02, 0.03, 0.045)),
        ),
        Arm(name=FINALIST, settings=PARTS, answer="merged", note="costs twice as much to ask"),
    ]
    rows = _tuned_rows(lab, space, arms, NUM_SEEDS, data_share=0.5, same=True)
    _print_table(told_name, rows, None)
    yield from _row_figures(told_name, rows, None)


def measure_grocery() -> Iterator[Figure]:
    """Too few photos for a goal: reported, with the settings that CIFAR-10's first is."""
    images = grocery(size_px=64)
    lab = Lab(images=images, home=HOME, epochs=max(NUM_EPOCHS, 30), say=click.echo)
    space = photo_space(len(images.classes), sizes_px=(64,))
    arms = [replace(arm, settings=arm.settings[:1]) for arm in ARMS if not arm.ensemble]
    rows = _tuned_rows(lab, space, arms, NUM_SEEDS)
    floor = _reseed_floor(lab, space)
    _print_table(
        f"grocery photos: {len(images.train)} to train on, {len(images.final)} in the final split", rows, floor
    )
    yield from _row_figures("grocery", rows, floor)


def measure_family(lab: Lab, space: Space) -> Iterator[Figure]:
    """The family, its search against peers at equal cost, and its members trained by themselves."""
    here = scene(lab, space, 0)
    family = train_family(lab, space, here.old, recipe=Recipe(), seed=0, keep=True)
    limits = {"multiply_adds": float(here.untreated.multiply_adds)}
    plan = SearchPlan(num_evaluations=NUM_EVALUATIONS, seed=0, population=POPULATION)
    result, core_s = searched(family, plan, limits)
    yield from _peer_figures(family, here, limits)
    yield from _cost_figures(family, here, [row.genotype for row in result.evaluated], search_core_s=core_s)
    within = [row for row in result.evaluated if row.accuracy >= here.floor]
    best = min(within or result.evaluated, key=lambda row: (row.flips, -row.accuracy) if within else (-row.accuracy, 0))
    chosen = family.final_rates(best.genotype)
    yield Figure(
        name="family, chosen by its search: negative flips on the final split, %",
        value=100 * chosen.flips,
        spread=f"accuracy {chosen.accuracy:.2%}, untreated {_final(here, own_reply(here.untreated)).accuracy:.2%}",
        seeds=[0],
    )
    spots = [
        Spot(outcome=Outcome(accuracy=row.accuracy, flips=row.flips), cost=row.costs["multiply_adds"] / 1e6)
        for row in result.evaluated
    ]
    old = accuracy(here.old.search.argmax(axis=1), lab.images.search.labels)
    draw_frontier(
        HOME / "search.png", spots, Landmarks(champion_accuracy=old, title="What the search of a family found")
    )
    click.echo(f"drawn: {HOME / 'search.png'}")


def _tuned_rows(lab: Lab, space: Space, arms: Sequence[Arm], num_seeds: int, **scenario: Any) -> dict[str, Row]:
    """Each arm with the setting that the first seed's search split prefers, over all seeds."""
    scenes = [scene(lab, space, seed, **scenario) for seed in range(num_seeds)]
    rows = {}
    for arm in arms:
        settings = arm.settings[:1] if SHORT else arm.settings
        setting = settings[chosen_setting(scenes[0], arm, settings)] if len(settings) > 1 else settings[0]
        replies = [reply(here, arm, setting) for here in scenes]
        rows[arm.name] = Row(
            name=arm.name,
            found=tuple(_final(here, one) for here, one in zip(scenes, replies, strict=True)),
            core_s=float(np.mean([one.core_s for one in replies])),
            multiply_adds=replies[0].multiply_adds,
            note="; ".join(part for part in (_setting_told(setting), arm.note) if part),
        )
    return rows


def _final(here: Scene, one: Reply) -> Rates:
    return rates(here.old.final.argmax(axis=1), one.final, here.lab.images.final.labels)


def _finalists(rows: Mapping[str, Row]) -> set[str]:
    return {"untreated", _best_focal(rows), FINALIST}


def _best_focal(rows: Mapping[str, Row]) -> str:
    """The focal distillation with fewer flips among those that keep the accuracy, else the more accurate."""
    least = float(np.mean(rows["untreated"].accuracies())) - MAX_LOSS
    names = [arm.name for arm in ARMS if arm.focal]
    allowed = [name for name in names if np.mean(rows[name].accuracies()) >= least]
    if allowed:
        return min(allowed, key=lambda name: float(np.mean(rows[name].flips())))
    return max(names, key=lambda name: float(np.mean(rows[name].accuracies())))


def _reseed_floor(lab: Lab, space: Space) -> float:
    """The mean rate at which a reseed of the old network's recipe flips its answers."""
    small = architecture_of(space, smallest(space))
    found = []
    for seed in range(NUM_SEEDS):
        first, again = (
            lab.train(Order(architecture=small, recipe=Recipe(), seed=500 + seed + far)) for far in (0, RESEED_OFFSET)
        )
        labels = lab.images.final.labels
        found.append(rates(first.final.argmax(axis=1), again.final.argmax(axis=1), labels).flips)
    return float(np.mean(found))


def _goals(rows: Mapping[str, Row]) -> Iterator[Figure]:
    """The two goals, at an accuracy that is kept; seeds are compared one by one."""
    ours, untreated, focal = rows[FINALIST], rows["untreated"], rows[_best_focal(rows)]
    lost = [b - a for a, b in zip(ours.accuracies(), untreated.accuracies(), strict=False)]
    kept = interval(lost)[0] <= MAX_LOSS
    yield Figure(
        name="accuracy given up against untreated, points",
        value=100 * interval(lost)[0],
        goal=f"at most {100 * MAX_LOSS:.1f}",
        met=kept if TELLS else None,
        spread=told(lost),
        seeds=list(range(len(lost))),
    )
    for name, other, goal in (("untreated", untreated, LESS_THAN_UNTREATED), (focal.name, focal, LESS_THAN_FOCAL)):
        less = [1 - a / b for a, b in zip(ours.flips(), other.flips(), strict=False)]
        yield Figure(
            name=f"negative flips fewer than {name}, %",
            value=100 * interval(less)[0],
            goal=f"at least {goal:.0%}, accuracy kept",
            met=interval(less)[0] >= goal and kept if TELLS else None,
            spread=told(less),
            seeds=list(range(len(less))),
        )


def _row_figures(scenario: str, rows: Mapping[str, Row], floor: float | None) -> Iterator[Figure]:
    for row in rows.values():
        yield Figure(
            name=f"{scenario}: negative flips, {row.name}, %",
            value=100 * interval(row.flips())[0],
            spread=f"{told(row.flips())}; accuracy {told(row.accuracies())}; {row.core_s:.0f} core s to train",
            seeds=list(range(len(row.found))),
        )
    if floor is not None:
        yield Figure(name=f"{scenario}: negative flips, a reseed of the old network, %", value=100 * floor)


def _peer_figures(family: Family, here: Scene, limits: Mapping[str, float]) -> Iterator[Figure]:
    """Hypervolume on the search split and core seconds of each way to search, at equal numbers of evaluations."""
    old = accuracy(here.old.search.argmax(axis=1), here.lab.images.search.labels)
    corner = Outcome(accuracy=old, flips=0.1)
    areas: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for method in ("evolution", "random", "accuracy"):
        for seed in range(NUM_SEARCH_SEEDS):
            plan = SearchPlan(num_evaluations=NUM_EVALUATIONS, seed=seed, method=method, population=POPULATION)  # type: ignore[arg-type]
            result, core_s = searched(family, plan, limits)
            outcomes = [Outcome(accuracy=row.accuracy, flips=row.flips) for row in result.pareto]
            areas.setdefault(method, []).append(hypervolume(outcomes, reference=corner))
            seconds.setdefault(method, []).append(core_s)
    for method, found in areas.items():
        peers = [float(np.mean(areas[other])) for other in areas if other != method]
        yield Figure(
            name=f"search by {method}: hypervolume of {NUM_EVALUATIONS} evaluations, 1e-4",
            value=1e4 * float(np.mean(found)),
            goal="the most" if method == "evolution" else "",
            met=float(np.mean(found)) >= max(peers) if method == "evolution" and not SHORT else None,
            spread=f"{told([1e4 * area for area in found], percent=False)}; {np.mean(seconds[method]):.0f} core s",
            seeds=list(range(len(found))),
        )


def _cost_figures(
    family: Family, here: Scene, genotypes: Sequence[Mapping[str, Any]], *, search_core_s: float
) -> Iterator[Figure]:
    """Core seconds beside the largest member and beside all candidates alone; estimates against retraining."""
    whole = family.core_s + search_core_s
    yield Figure(
        name="family and search over the training of its largest member alone, core seconds",
        value=whole / here.untreated.core_s,
        goal="at most 2.5",
        met=whole / here.untreated.core_s <= 2.5 if not SHORT else None,
        spread=f"{family.core_s:.0f} + {search_core_s:.0f} against {here.untreated.core_s:.0f} core s",
    )
    members = sorted({family.member(genotype) for genotype in genotypes}, key=lambda m: multiply_adds(family.space, m))
    spread = [members[index] for index in np.unique(np.linspace(0, len(members) - 1, NUM_ALONE).round().astype(int))]
    alone = [family.alone(member, seed=40) for member in spread]
    per_cost = sum(one.core_s for one in alone) / sum(one.multiply_adds for one in alone)
    every = per_cost * sum(multiply_adds(family.space, member) for member in members)
    yield Figure(
        name=f"family and search over training all {len(members)} members that it evaluated by themselves",
        value=whole / every,
        goal="under 0.5",
        met=whole / every < 0.5 if not SHORT else None,
        spread=f"{every:.0f} core s, from {len(alone)} trained at {1e6 * per_cost:.2f} s a million multiply-adds; "
        f"{len(alone)} alone took {sum(one.core_s for one in alone):.0f}",
    )
    labels, old = here.lab.images.final.labels, here.old.final.argmax(axis=1)
    retrained = [rates(old, one.final.argmax(axis=1), labels) for one in alone]
    estimates = [family.evaluate(_plain_genotype(family, member)) for member in spread]
    for what in ("accuracy", "flips"):
        value = rank_correlation([getattr(e, what) for e in estimates], [getattr(r, what) for r in retrained])
        if not math.isnan(value):
            yield Figure(
                name=f"rank correlation of {what}: estimate while searching against training alone",
                value=value,
                spread=f"{len(spread)} members",
            )


def _plain_genotype(family: Family, member: Any) -> dict[str, Any]:
    genes = {f"gene_{index}": gene for index, gene in enumerate(to_genes(family.space, member))}
    return {**genes, "share": 0.0, "bias": 0.0}


def _part(space: Space) -> dict[str, Any]:
    """The costliest member that fits beside the smallest one into the cost of the largest."""
    room = multiply_adds(space, largest(space)) - multiply_adds(space, smallest(space))
    fitting = [member for member in enumerate_specs(space) if multiply_adds(space, member) <= room]
    return architecture_of(space, max(fitting, key=lambda member: multiply_adds(space, member)))


def _setting_told(setting: Mapping[str, Any]) -> str:
    short = {"distill_weight": "weight", "distill_form": "", "flip_limit": "limit", "interpolate": ""}
    return " ".join(f"{short.get(name, name)} {value}".strip() for name, value in setting.items() if value is not True)


def _print_table(title: str, rows: Mapping[str, Row], floor: float | None) -> None:
    click.echo(f"\n{title}; final split, mean and 95% interval over seeds")
    click.echo(
        f"  {'':30s}{'old':>7s} {'accuracy':>15s} {'NFR':>13s} {'rel.':>5s} {'gains':>7s} {'bound':>7s} {'core s':>7s} "
        f"{'M mult-adds':>11s} seeds"
    )
    for row in rows.values():
        mean = {
            name: float(np.mean([getattr(one, name) for one in row.found])) for name in ("gains", "bound", "relative")
        }
        old = float(np.mean([one.old_accuracy for one in row.found]))
        click.echo(
            f"  {row.name:30s}{old:7.2%} {told(row.accuracies()):>15s} {told(row.flips()):>13s} "
            f"{mean['relative']:5.2f} {mean['gains']:7.2%} {mean['bound']:7.2%} "
            f"{row.core_s:7.0f} {row.multiply_adds / 1e6:11.1f} {len(row.found):5d}  {row.note}"
        )
    if floor is not None:
        click.echo(f"  a reseed of the old network flips {floor:.2%}")


def _draw(lab: Lab, rows: Mapping[str, Row], floor: float | None) -> None:
    spots = [
        Spot(
            outcome=Outcome(accuracy=float(np.mean(row.accuracies())), flips=float(np.mean(row.flips()))),
            cost=row.core_s,
            name=row.name,
        )
        for row in rows.values()
    ]
    landmarks = Landmarks(
        champion_accuracy=float(np.mean([one.old_accuracy for one in rows["untreated"].found])),
        reseed_flips=floor,
        split="final split",
        cost_name="core seconds to train",
        title=f"{lab.images.name}: treatments at equal cost to ask",
    )
    draw_frontier(HOME / "treatments.png", spots, landmarks)
    click.echo(f"drawn: {HOME / 'treatments.png'}")


if __name__ == "__main__":
    main()
