"""What the family and its search reach and cost, beside peers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import numpy as np

from components.models.networks.subnets import Space, multiply_adds, to_genes
from components.selection.search.frontier import Outcome
from components.selection.search.frontier_picture import Landmarks, Spot, draw_frontier
from components.selection.search.search import SearchPlan
from components.training.config import Recipe
from tests.benchmarks.figures import SHORT, Figure
from tests.benchmarks.flips.areas import hypervolume
from tests.benchmarks.flips.arms import Scene, accuracy, own_reply
from tests.benchmarks.flips.family import Family, searched, train_family
from tests.benchmarks.flips.lab import Lab
from tests.benchmarks.flips.rates import interval, rank_correlation, rates, told
from tests.benchmarks.flips.scenes import final_rates, scenes
from tests.benchmarks.flips.size import HOME, NUM_ALONE, NUM_EVALUATIONS, NUM_SEARCH_SEEDS, POPULATION


def measure_family(lab: Lab, space: Space) -> Iterator[Figure]:
    """The family, its search against peers at equal cost, and its members trained by themselves."""
    (here,) = scenes(lab, space, [0])
    family = train_family(lab, space, here.old, recipe=Recipe(), seed=0)
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
        spread=f"accuracy {chosen.accuracy:.2%}, untreated {final_rates(here, own_reply(here.untreated)).accuracy:.2%}",
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
            rows = [result.evaluated[index] for index in result.front]
            outcomes = [Outcome(accuracy=row.accuracy, flips=row.flips) for row in rows]
            areas.setdefault(method, []).append(hypervolume(outcomes, reference=corner))
            seconds.setdefault(method, []).append(core_s)
    for method, found in areas.items():
        yield Figure(
            name=f"search by {method}: hypervolume of {NUM_EVALUATIONS} evaluations, 1e-4",
            value=1e4 * float(np.mean(found)),
            spread=f"{told([1e4 * area for area in found], percent=False)}; {np.mean(seconds[method]):.0f} core s",
            seeds=list(range(len(found))),
        )
    for peer in ("random", "accuracy"):
        more = [1e4 * (ours - theirs) for ours, theirs in zip(areas["evolution"], areas[peer], strict=True)]
        mean, half = interval(more)
        yield Figure(
            name=f"search by evolution over search by {peer}: hypervolume, 1e-4, seeds paired",
            value=mean,
            goal="interval above 0",
            met=mean - half > 0 if not SHORT else None,
            spread=told(more, percent=False),
            seeds=list(range(len(more))),
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
    alone = family.alone(spread, seed=40)
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
