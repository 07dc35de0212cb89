"""Searches a family's sub-networks for those that no other beats on accuracy and negative flips, within cost limits.

Evolutionary by NSGA-II (Deb et al. 2002, as Optuna has it), with a negative flip counting beside accuracy as in REG-NAS
(Duggal et al. 2022); random and accuracy-only search are its peers, behind the same call. What is evaluated, and on
what, is the caller's: a function from a genotype to an outcome on the *search* split. Nothing here knows another.

A genotype over a limit is never evaluated, and none is drawn that is known to be over one before it is measured. Where
fewer networks are found than were asked for, the result says why. Every network looked at is on disk before the next
is asked for; the proposals are a function of (seed, outcomes), so a killed search that starts again reads its rows,
retraces its steps and goes on where it stood.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from components.core.errors import ConfigError, DataError, StateError
from components.core.progress import track
from components.selection.ledger import lines
from components.selection.search.frontier import Outcome, pareto_front
from components.selection.search.genotypes import Drawn, Evolved, Genotype, SearchSpace, key_of
from components.selection.search.targets import excess

log = logging.getLogger(__name__)
SCHEMA_VERSION = 1
_MAX_PROPOSALS = 50  # beside a population, for each evaluation asked for: tight limits leave little


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProblem:
    """What is searched: `made_from` is a digest of all that outcomes depend on (weights, champion, search split).

    `cost` is cheap and is asked first: costs by the names in `limits`, and any others worth keeping. `evaluate` gives
    the outcome on the search split. Both are pure; a genotype is asked once. `variants` gives the genotypes whose
    outcomes are known for nothing once this one's is: the same sub-network, its answers weighed otherwise, and so at
    the same cost and on the same side of every limit, though a second measurement might say otherwise.

    `counted` gives those of the costs that need no measurement, asked of any number of genotypes; without it, `cost`
    measures nothing. Where there are limits, `cheapest` is evaluated first, and if it is over one nothing else is.
    """

    space: SearchSpace
    cost: Callable[[Genotype], Mapping[str, float]]
    evaluate: Callable[[Genotype], Outcome]
    made_from: str
    limits: Mapping[str, float] = field(default_factory=dict)
    variants: Callable[[Genotype], Iterable[Genotype]] = lambda _: ()
    counted: Callable[[Genotype], Mapping[str, float]] | None = None
    cheapest: Genotype | None = None

    @property
    def first(self) -> tuple[Genotype, ...]:
        """The cheapest genotype, where it matters."""
        return (self.cheapest,) if self.limits and self.cheapest is not None else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How to search: `num_evaluations` distinct genotypes within the limits, the variants of each for nothing.

    `start` are evaluated first.
    """

    num_evaluations: int
    seed: int
    method: Literal["evolution", "random", "accuracy"] = "evolution"
    population: int = 16
    start: tuple[Genotype, ...] = ()

    def __post_init__(self) -> None:
        if self.num_evaluations < 1 or self.population < 2:
            raise ConfigError(
                f"a search needs at least 1 evaluation and a population of 2, got {self.num_evaluations} and "
                f"{self.population}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """One genotype that was looked at; `outcome` is None for one over a limit, which is never evaluated."""

    genotype: Genotype
    costs: Mapping[str, float]
    outcome: Outcome | None
    seconds: float

    @property
    def accuracy(self) -> float:
        """On the search split."""
        return self._reached().accuracy

    @property
    def flips(self) -> float:
        """The negative-flip rate on the search split."""
        return self._reached().flips

    def _reached(self) -> Outcome:
        if self.outcome is None:
            raise StateError(f"genotype {dict(self.genotype)} is over a limit and was not evaluated")
        return self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """All that was evaluated in the order asked, each with its variants behind it; what was over a limit.

    `front` holds the frontier's indices into `evaluated`. `shortfall` says in words why fewer networks were found than
    asked for, and is empty where all were.
    """

    evaluated: tuple[SearchRow, ...]
    front: tuple[int, ...]
    over_limit: tuple[SearchRow, ...]
    shortfall: str


def search(problem: SearchProblem, plan: SearchPlan, *, table: Path) -> SearchResult:
    """Search, keeping each row in `table` (JSON lines); a table of the same problem is gone on with.

    Methods may share a table, and then evaluate nothing twice. ConfigError when nothing within the limits was found;
    StateError when the table is of another problem; DataError when an outcome is no pair of rates.
    """
    for genotype in (*problem.first, *plan.start):
        problem.space.check(genotype)
    book, screen, found = _Log(table, problem), _Screen(problem), _Found()
    proposals = _proposals(problem, plan, screen)
    for _ in track(range(plan.num_evaluations * (_MAX_PROPOSALS + plan.population)), "searching"):
        asked = proposals.ask()
        if asked is None:
            break
        row = found.take(book.look(asked))
        if row.outcome is None and asked in problem.first:
            raise ConfigError(_beyond(row, problem.limits))
        for each in (asked, *problem.variants(asked)):
            proposals.note(each)
        reached = None if row.outcome is None else (row.accuracy, row.flips)
        proposals.tell(reached, excess(row.costs, problem.limits))
        if found.num_networks == plan.num_evaluations:
            break
    if not found.evaluated:
        raise ConfigError(_none(found, screen, problem.limits))
    shortfall = _shortfall(problem, plan, found, saw_all=proposals.saw_all)
    if shortfall:
        log.warning("%s", shortfall)
    return found.result(shortfall)


def _proposals(problem: SearchProblem, plan: SearchPlan, screen: _Screen) -> Drawn | Evolved:
    start = (*problem.first, *plan.start)
    if plan.method == "random":
        return Drawn(problem.space, seed=plan.seed, start=start, within=screen.lets_through)
    return Evolved(
        problem.space,
        limits=tuple(problem.limits),
        with_flips=plan.method == "evolution",
        population=plan.population,
        seed=plan.seed,
        start=start,
        within=screen.lets_through,
    )


def _beyond(row: SearchRow, limits: Mapping[str, float]) -> str:
    over = ", ".join(f"{name} {row.costs[name]:.4g} against {limits[name]:.4g}" for name in excess(row.costs, limits))
    return f"the family's cheapest member is over the limits ({over}); raise them, or give the family smaller members"


def _none(found: _Found, screen: _Screen, limits: Mapping[str, float]) -> str:
    costs = [screen.least, *(row.costs for row in found.over.values())]
    least = {name: min(each.get(name, float("inf")) for each in costs) for name in limits}
    return (
        f"no sub-network within {dict(limits)} was found; the least found is {least}: "
        "raise the limits, or let the family have smaller members"
    )


def _shortfall(problem: SearchProblem, plan: SearchPlan, found: _Found, *, saw_all: bool) -> str:
    """Why fewer networks were found than asked for; empty where they were found."""
    if found.num_networks >= plan.num_evaluations:
        return ""
    where = f"within {dict(problem.limits)}" if problem.limits else "in the family"
    why = f"there is no other {where}"
    if not saw_all:
        why = f"no other {where} came up in {found.num_looks} proposals; raise the limits, or ask for fewer"
    return f"{plan.num_evaluations} networks were asked for and {found.num_networks} found: {why}"


@dataclass(slots=True)
class _Found:
    """What a search has seen so far, by key: every row evaluated, and those over a limit."""

    evaluated: dict[str, SearchRow] = field(default_factory=dict)
    over: dict[str, SearchRow] = field(default_factory=dict)
    num_networks: int = 0
    num_looks: int = 0

    def take(self, rows: Sequence[SearchRow]) -> SearchRow:
        """Take in the rows of one look, and return that of the genotype looked at."""
        self.num_looks += 1
        first = rows[0]
        if first.outcome is None:
            self.over[key_of(first.genotype)] = first
        elif key_of(first.genotype) not in self.evaluated:
            self.num_networks += 1
            for row in rows:
                self.evaluated.setdefault(key_of(row.genotype), row)
        return first

    def result(self, shortfall: str) -> SearchResult:
        """All of it with its frontier."""
        rows = tuple(self.evaluated.values())
        front = tuple(pareto_front([Outcome(accuracy=row.accuracy, flips=row.flips) for row in rows]))
        over = tuple(self.over.values())
        return SearchResult(evaluated=rows, front=front, over_limit=over, shortfall=shortfall)


class _Screen:
    """Which genotypes are over a limit by what need not be measured, and the least it saw of each such cost."""

    def __init__(self, problem: SearchProblem) -> None:
        self._counted, self._limits = problem.counted or problem.cost, problem.limits
        self.least: dict[str, float] = {}

    def lets_through(self, genotype: Genotype) -> bool:
        """Whether it is worth a look."""
        if not self._limits:
            return True
        costs = self._counted(genotype)
        counted = {name: limit for name, limit in self._limits.items() if math.isfinite(costs.get(name, math.nan))}
        for name in counted:
            self.least[name] = min(self.least.get(name, math.inf), costs[name])
        return not excess(costs, counted)


class _Log:
    """The rows on disk, and the only place that asks for costs and outcomes."""

    def __init__(self, path: Path, problem: SearchProblem) -> None:
        self._path, self._problem = path, problem
        genes = {name: list(choices) for name, choices in problem.space.genes.items()}
        head = {"schema": SCHEMA_VERSION, "made_from": problem.made_from, "genes": genes}
        rows = lines.read(path)
        if not rows:
            lines.append(path, head)
        elif rows[0] != json.loads(json.dumps(head)):
            raise StateError(f"{path} holds the rows of another search; name another table, or delete it")
        self._rows = {key_of(row["genotype"]): _parse(row) for row in rows[1:]}

    def look(self, genotype: Genotype) -> tuple[SearchRow, ...]:
        """The rows of a genotype and its variants, evaluated now unless they stand there already.

        Over a limit it is the genotype's alone, without an outcome. What was measured first of any of them, be it by a
        run that was killed, is the cost of all. What another run left unevaluated for tighter limits is evaluated
        after all.
        """
        started = time.process_time()
        network = {key_of(one): one for one in (genotype, *self._problem.variants(genotype))}
        known = [self._rows[key] for key in sorted(network) if key in self._rows]
        costs = known[0].costs if known else self._costs(genotype)
        if excess(costs, self._problem.limits):
            return (self._left_out(genotype, costs, started=started, is_new=not known),)
        new: list[SearchRow] = []
        for key, one in network.items():
            if key not in self._rows or self._rows[key].outcome is None:
                new.append(self._evaluated(one, costs, started=started))
                started = time.process_time()
        self._keep(new)
        return tuple(replace(self._rows[key], costs=costs) for key in network)

    def _left_out(self, genotype: Genotype, costs: Mapping[str, float], *, started: float, is_new: bool) -> SearchRow:
        known = self._rows.get(key_of(genotype))
        if known is not None:
            return replace(known, costs=costs, outcome=None)
        seconds = time.process_time() - started
        row = SearchRow(genotype=dict(genotype), costs=costs, outcome=None, seconds=seconds)
        if is_new:
            self._keep([row])
        return row

    def _keep(self, rows: Sequence[SearchRow]) -> None:
        if rows:
            lines.append(self._path, *(_line(row) for row in rows))
            self._rows |= {key_of(row.genotype): row for row in rows}

    def _evaluated(self, genotype: Genotype, costs: Mapping[str, float], *, started: float) -> SearchRow:
        outcome = self._problem.evaluate(genotype)
        if not (0 <= outcome.accuracy <= 1 and 0 <= outcome.flips <= 1):
            raise DataError(
                f"genotype {dict(genotype)} gave accuracy {outcome.accuracy} and flips {outcome.flips}; both are rates "
                "in 0..1, and NaN means that the network is broken"
            )
        seconds = time.process_time() - started
        return SearchRow(genotype=dict(genotype), costs=costs, outcome=outcome, seconds=seconds)

    def _costs(self, genotype: Genotype) -> dict[str, float]:
        costs = {name: float(value) for name, value in self._problem.cost(genotype).items()}
        unknown = [name for name in self._problem.limits if name not in costs]
        if unknown or not all(math.isfinite(value) for value in costs.values()):
            raise DataError(
                f"genotype {dict(genotype)} costs {costs}; all of {list(self._problem.limits)} must be finite"
            )
        return costs


def _line(row: SearchRow) -> dict[str, Any]:
    outcome = None if row.outcome is None else {"accuracy": row.outcome.accuracy, "flips": row.outcome.flips}
    return {
        "genotype": dict(row.genotype),
        "costs": dict(row.costs),
        "outcome": outcome,
        "seconds": row.seconds,
    }


def _parse(row: Mapping[str, Any]) -> SearchRow:
    outcome = None if row["outcome"] is None else Outcome(**row["outcome"])
    return SearchRow(genotype=row["genotype"], costs=row["costs"], outcome=outcome, seconds=row["seconds"])
