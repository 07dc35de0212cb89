"""Proposes genotypes: uniformly at random, or by NSGA-II from what earlier ones reached.

What is proposed is a function of the seed and of the outcomes told, so that a search can be retraced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.core.errors import ConfigError

Choice = int | float | str
Genotype = Mapping[str, Choice]
_WORST = (0.0, 1.0)  # what an infeasible genotype is told to have reached; its excess alone ranks it
_MOST = 1e9
_MAX_DRAWS = 100_000  # a space of more genotypes is drawn from so often, a smaller one walked through


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The choices of each gene, in order; a gene with one choice is fixed."""

    genes: Mapping[str, Sequence[Choice]]

    def __post_init__(self) -> None:
        bad = [name for name, choices in self.genes.items() if not choices or len(set(choices)) != len(choices)]
        if bad or not self.genes:
            raise ConfigError(f"genes {bad or list(self.genes)} need at least one choice each, and no choice twice")

    @property
    def size(self) -> int:
        """The number of genotypes."""
        total = 1
        for choices in self.genes.values():
            total *= len(choices)
        return total

    def check(self, genotype: Genotype) -> None:
        """ConfigError unless the genotype has one of the choices in each gene."""
        strange = [name for name, choices in self.genes.items() if genotype.get(name) not in choices]
        if strange or genotype.keys() != self.genes.keys():
            raise ConfigError(f"genotype {dict(genotype)} is not of the space: see genes {strange or list(self.genes)}")

    def draw(self, rng: np.random.Generator) -> Genotype:
        """A genotype drawn uniformly."""
        return {name: choices[int(rng.integers(len(choices)))] for name, choices in self.genes.items()}

    def at(self, index: int) -> Genotype:
        """The genotype with number `index` of 0 to `size` - 1."""
        genotype: dict[str, Choice] = {}
        for name, choices in self.genes.items():
            index, place = divmod(index, len(choices))
            genotype[name] = choices[place]
        return genotype


def key_of(genotype: Genotype) -> str:
    """The same text for the same genotype."""
    return json.dumps(dict(genotype), sort_keys=True)


class Drawn:
    """The genotypes of `start`, then others in a random order, each once and only where `within` says yes of it.

    A space of more than 100,000 genotypes is drawn from as often as that, and may hold more.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        start: Sequence[Genotype],
        within: Callable[[Genotype], bool] = lambda _: True,
    ) -> None:
        self._space, self._within = space, within
        self._start = list(start)
        self._seen: set[str] = set()
        self._others = self._walk(np.random.default_rng(seed))
        self._is_dry = False

    @property
    def saw_all(self) -> bool:
        """Whether there is certainly none left to propose."""
        return self._is_dry and self._space.size <= _MAX_DRAWS

    def ask(self) -> Genotype | None:
        """The next genotype; None once there is none left."""
        genotype = self._start.pop(0) if self._start else self.unseen()
        if genotype is not None:
            self.note(genotype)
        return genotype

    def tell(self, reached: tuple[float, float] | None, over: Mapping[str, float]) -> None:
        """Nothing is learned."""

    def note(self, genotype: Genotype) -> bool:
        """Remember a genotype that came from elsewhere; whether it is new."""
        known = key_of(genotype) in self._seen
        self._seen.add(key_of(genotype))
        return not known

    def unseen(self) -> Genotype | None:
        """A genotype that was not asked before; None once there is none left."""
        for genotype in self._others:
            if key_of(genotype) not in self._seen and self._within(genotype):
                return genotype
        self._is_dry = True
        return None

    def _walk(self, rng: np.random.Generator) -> Iterator[Genotype]:
        if self._space.size <= _MAX_DRAWS:
            yield from (self._space.at(int(index)) for index in rng.permutation(self._space.size))
        else:
            yield from (self._space.draw(rng) for _ in range(_MAX_DRAWS))


class Evolved:
    """NSGA-II on (accuracy up, flips down), or on accuracy alone; limits by constrained domination.

    Where a whole population proposes nothing new within the limits, one drawn from those not yet seen comes in between.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        limits: Sequence[str],
        with_flips: bool,
        population: int,
        seed: int,
        start: Sequence[Genotype],
        within: Callable[[Genotype], bool] = lambda _: True,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._limits, self._with_flips, self._population = space, limits, with_flips, population
        self._study = optuna.create_study(
            directions=["maximize", "minimize"] if with_flips else ["maximize"],
            sampler=optuna.samplers.NSGAIISampler(population_size=population, seed=seed),
        )
        for genotype in start:
            self._enqueue(genotype)
        self._fresh = Drawn(space, seed=seed, start=(), within=within)
        self._num_idle, self._is_new = 0, False
        self._trial: Any = None

    @property
    def saw_all(self) -> bool:
        """Whether there is certainly none left to propose."""
        return self._fresh.saw_all

    def ask(self) -> Genotype | None:
        """The next genotype, which may have been asked before; None once nothing new is left."""
        if self._num_idle >= self._population:
            fresh = self._fresh.unseen()
            if fresh is None:
                return None
            self._enqueue(fresh)
            self._num_idle = 0
        self._trial = self._study.ask()
        genotype = {
            name: choices[self._trial.suggest_int(name, 0, len(choices) - 1)]
            for name, choices in self._space.genes.items()
        }
        self._is_new = self._fresh.note(genotype)
        return genotype

    def note(self, genotype: Genotype) -> None:
        """Remember a genotype whose outcome came with another's: it may be proposed again, and is nothing new."""
        self._fresh.note(genotype)

    def tell(self, reached: tuple[float, float] | None, over: Mapping[str, float]) -> None:
        """What the genotype asked last has reached (None: over a limit, by the shares in `over`)."""
        self._num_idle = 0 if self._is_new and reached is not None else self._num_idle + 1
        for name in self._limits:
            self._trial.set_constraint(name, min(over.get(name, 0.0), _MOST))
        values = _WORST if reached is None else reached
        self._study.tell(self._trial, values if self._with_flips else values[:1])

    def _enqueue(self, genotype: Genotype) -> None:
        self._study.enqueue_trial(
            {name: list(choices).index(genotype[name]) for name, choices in self._space.genes.items()}
        )
