"""Searches the trained family on the search split: candidates for the gate, a table of all that was asked, a picture.

This is the wire between two stages that do not know each other: training makes members and says what they cost and
answer, selection says which to ask for and which to choose. What is chosen here has proven nothing yet. A killed
search goes on: every evaluated genotype is a row on disk before the next is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from components.core.errors import ConfigError, DataError
from components.core.files import atomic_path
from components.models.artefacts import load_model
from components.selection.search.frontier import Outcome, pareto_front
from components.selection.search.frontier_picture import Landmarks, Spot, draw_costs, draw_frontier
from components.selection.search.genotypes import Genotype, SearchSpace, key_of
from components.selection.search.record import RECORD, write_record
from components.selection.search.search import SearchPlan, SearchProblem, SearchRow, search
from components.selection.search.targets import Target, choose, choose_all
from components.training.answers import right_answers
from components.training.candidates import CandidateSummary
from components.training.family.fit import train_family
from components.training.family.members import COSTS, Family, costs_of
from components.training.training import FAMILY, RESEED, TrainingInputs

if TYPE_CHECKING:  # what it reads of params.yaml is told by the stage's sections
    from components.workloads.classification.params import ClassificationParams

log = logging.getLogger(__name__)
TABLE, PICTURE = "members.parquet", "frontier.png"
_POPULATION = 16
_ANY: Target = Target(name="any", flip_limit=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySummary:
    """What a family gave: its candidates, their costs, and what the stage tells of it (pictures by their path)."""

    candidates: tuple[CandidateSummary, ...] = ()
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """All rows that were evaluated, once each; those over a limit; by target why its search found nothing, or few."""

    rows: tuple[SearchRow, ...]
    over_limit: tuple[SearchRow, ...]
    nothing: Mapping[str, str]
    few: Mapping[str, str]

    @property
    def front(self) -> set[int]:
        """The rows that no other beats on accuracy and flips."""
        return set(pareto_front([Outcome(accuracy=row.accuracy, flips=row.flips) for row in self.rows]))


def search_family(inputs: TrainingInputs, params: ClassificationParams, *, out: Path) -> FamilySummary:
    """Train the family and make its finalists candidates in `out`: one a target, or `family-1` and so on without.

    Where the champion cannot be held as the family's form asks, that is said in a fact and there is none.
    """
    folder = out / FAMILY
    for stale in (TABLE, PICTURE, RECORD):  # of an earlier family, whose candidates may be others
        (folder / stale).unlink(missing_ok=True)
    family = train_family(inputs, params.training, out=out, seed=params.seed)
    if isinstance(family, str):
        log.warning("the family is skipped: %s", family)
        reasons = {target.name: {"reason": f"the family is skipped: {family}"} for target in params.selection.targets}
        write_record(out, targets=reasons, costs=_recipe_costs(out, params, besides=()))
        return FamilySummary(facts={f"skipped {FAMILY}": family})
    found = _search(family, params, scratch=inputs.scratch)
    finalists, targets = _choose(found, params, has_champion=family.champion is not None)
    made = {name: family.make_candidate(name, row.genotype, out=out) for name, row in finalists.items()}
    _write_table(folder / TABLE, family, found=found, finalists=finalists)
    pictures = [f"{FAMILY}/{TABLE}"]
    if found.rows:
        _draw(folder / PICTURE, family, found=found, finalists=finalists, params=params)
        pictures.append(f"{FAMILY}/{PICTURE}")
    costs = {name: dict(row.costs) for name, row in finalists.items()}
    costs |= _recipe_costs(out, params, besides=costs)
    write_record(out, targets=targets, costs=costs)
    return FamilySummary(
        candidates=tuple(made.values()),
        costs=costs,
        metrics=_metrics(found, finalists),
        facts=_facts(family, found, targets),
        pictures=tuple(pictures),
    )


def _recipe_costs(out: Path, params: ClassificationParams, *, besides: Collection[str]) -> dict[str, dict[str, float]]:
    """The costs of the recipes' candidates, since one of them may serve a target too; none where there is no target."""
    if not params.selection.targets:
        return {}
    folders = sorted(path.parent for path in out.glob("*/model"))
    return {path.name: _known_costs(path / "model") for path in folders if path.name not in {*besides, RESEED}}


def _known_costs(folder: Path) -> dict[str, float]:
    """What a recipe's candidate costs; nothing where that cannot be told, and then it is within no cost limit."""
    model = load_model(folder)
    try:
        return costs_of(model.network, model.spec)
    except DataError as error:
        log.warning("candidate '%s' serves no target with a cost limit: %s", folder.parent.name, error)
        return {}


def _search(family: Family, params: ClassificationParams, *, scratch: Path) -> _Found:
    """One search for each target, under its limits and all in one table; one without limits where there is none."""
    targets = params.selection.targets or (_ANY,)
    rows: dict[str, SearchRow] = {}
    over: dict[str, SearchRow] = {}
    nothing: dict[str, str] = {}
    few: dict[str, str] = {}
    for target in targets:
        problem = SearchProblem(
            space=SearchSpace(genes=family.genes),
            cost=family.cost,
            evaluate=lambda genotype: _outcome(family, genotype),
            made_from=family.made_from,
            limits=target.limits,
            variants=family.variants,
            counted=family.counted,
            cheapest=family.cheapest(),
        )
        try:
            result = search(problem, _plan(family, params), table=scratch / f"{family.made_from}.search.jsonl")
        except ConfigError as error:
            nothing[target.name] = str(error)
            continue
        rows |= {key_of(row.genotype): row for row in result.evaluated}
        over |= {key_of(row.genotype): row for row in result.over_limit}
        if result.shortfall:
            few[target.name] = result.shortfall
    left = tuple(row for key, row in over.items() if key not in rows)
    return _Found(rows=tuple(rows.values()), over_limit=left, nothing=nothing, few=few)


def _plan(family: Family, params: ClassificationParams) -> SearchPlan:
    config = family.config
    method: Literal["evolution", "random", "accuracy"] = config.method
    if family.champion is None and method == "evolution":
        method = "accuracy"  # nothing can flip yet
    return SearchPlan(
        num_evaluations=config.evaluations,
        seed=params.seed,
        method=method,
        population=max(2, min(_POPULATION, config.evaluations // 3)),
        start=family.start(),
    )


def _outcome(family: Family, genotype: Genotype) -> Outcome:
    accuracy, flips = family.reached(genotype)
    return Outcome(accuracy=accuracy, flips=flips)


def _choose(
    found: _Found, params: ClassificationParams, *, has_champion: bool
) -> tuple[dict[str, SearchRow], dict[str, dict[str, str]]]:
    """The finalists by name, and for each target the finalist that stands for it, or why there is none."""
    targets = params.selection.targets
    if not targets:
        assert params.training.family is not None
        num = params.training.family.candidates
        chosen = _spread(found.rows, num, flip_target=params.training.flip_target, has_champion=has_champion)
        return {f"{FAMILY}-{number}": found.rows[index] for number, index in enumerate(chosen, start=1)}, {}
    finalists: dict[str, SearchRow] = {}
    told: dict[str, dict[str, str]] = {}
    for name, index in choose_all(found.rows, targets).items():
        if isinstance(index, str):
            told[name] = {"reason": found.nothing.get(name, index)}
            continue
        row = found.rows[index]
        same = [other for other, finalist in finalists.items() if finalist is row]
        told[name] = {"candidate": same[0] if same else name}  # one model for two targets costs one look, not two
        finalists.setdefault(told[name]["candidate"], row)
    return finalists, told


def _spread(rows: Sequence[SearchRow], num: int, *, flip_target: float, has_champion: bool) -> list[int]:
    """The most accurate within the flip target, then the most accurate at half its flips, and so on.

    Without a champion nothing flips, and the multiply-adds are halved instead. Where none is within the target, the
    one with fewest flips comes first.
    """
    first = choose(rows, Target(name="any", flip_limit=flip_target))
    if first is None:
        first = min(range(len(rows)), key=lambda index: (rows[index].flips, -rows[index].accuracy))
    chosen = [first]
    while len(chosen) < num:
        last = rows[chosen[-1]]
        halved = Target(name="any", flip_limit=last.flips / 2)
        if not has_champion:
            halved = Target(name="any", multiply_adds=last.costs["multiply_adds"] / 2)
        following = choose(rows, halved)
        if following is None or following in chosen:
            break
        chosen.append(following)
    return chosen


def _write_table(path: Path, family: Family, *, found: _Found, finalists: Mapping[str, SearchRow]) -> None:
    """One row a genotype in the order asked, those over a limit last and without an outcome."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {key_of(row.genotype): name for name, row in finalists.items()}
    front = found.front
    table = [
        {
            **{name: row.genotype[name] for name in family.genes},
            "accuracy": row.outcome.accuracy if row.outcome is not None else None,
            "negative_flip_rate": row.outcome.flips if row.outcome is not None else None,
            **{name: row.costs[name] for name in COSTS},
            "holds_champion": family.holds_champion(row.genotype),
            "within_limits": row.outcome is not None,
            "on_frontier": index in front,
            "candidate": names.get(key_of(row.genotype)),
            "seconds": row.seconds,
        }
        for index, row in enumerate((*found.rows, *found.over_limit))
    ]
    with atomic_path(path) as partial:
        pq.write_table(pa.Table.from_pylist(table), partial)


def _draw(
    path: Path, family: Family, *, found: _Found, finalists: Mapping[str, SearchRow], params: ClassificationParams
) -> None:
    """Accuracy against flips; before the first release nothing flips, so accuracy over cost."""
    names = {key_of(row.genotype): name for name, row in finalists.items()}
    spots = [
        Spot(
            outcome=Outcome(accuracy=row.accuracy, flips=row.flips),
            cost=row.costs["multiply_adds"] / 1e6,
            name=names.get(key_of(row.genotype), ""),
        )
        for row in found.rows
    ]
    title = f"{len(spots)} settings of the family's evaluated members"
    if family.champion is None:
        draw_costs(path, spots, title=title)
        return
    limits = {target.flip_limit for target in params.selection.targets} or {params.training.flip_target}
    landmarks = Landmarks(
        champion_accuracy=float(np.mean(family.champion_right)),
        reseed_flips=_reseed_flips(path.parents[1] / RESEED / "model", family),
        flip_limit=limits.pop() if len(limits) == 1 else None,
        title=title,
    )
    draw_frontier(path, spots, landmarks)


def _reseed_flips(folder: Path, family: Family) -> float | None:
    """The negative-flip rate of a reseed of the champion on the search split; None where none was trained."""
    if not folder.is_dir():
        return None
    right = right_answers(load_model(folder), family.bench.images, family.spec.classes)
    return float(np.mean(family.champion_right & ~right))


def _metrics(found: _Found, finalists: Mapping[str, SearchRow]) -> dict[str, float]:
    metrics = {
        f"{FAMILY}.num_evaluated": float(len(found.rows)),
        f"{FAMILY}.num_over_limit": float(len(found.over_limit)),
        f"{FAMILY}.num_on_frontier": float(len(found.front)),
        f"{FAMILY}.search_seconds": sum(row.seconds for row in (*found.rows, *found.over_limit)),
    }
    for name, row in finalists.items():
        metrics |= {f"{name}.search_negative_flip_rate": row.flips}
        metrics |= {f"{name}.{cost}": value for cost, value in row.costs.items()}
    return metrics


def _facts(family: Family, found: _Found, targets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    around = f"around champion {family.champion.digest[:12]}, {family.form}" if family.champion is not None else "alone"
    facts = {
        FAMILY: f"{around}: {len(found.rows)} settings of its members evaluated, {len(found.front)} on the frontier"
    }
    facts |= {f"search for {name}" if name in targets else "search": told for name, told in found.few.items()}
    for name, told in targets.items():
        facts[f"target {name}"] = f"candidate {told['candidate']}" if "candidate" in told else f"none: {told['reason']}"
    return facts
