"""Proposes genotypes: uniformly at random, or by NSGA-II from what earlier ones reached.

What is proposed is a function of the seed and of the outcomes told, so that a search can be retraced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.core.errors import ConfigError

Choice = int | float | str
Genotype = Mapping[str, Choice]
_WORST = (0.0, 1.0)  # what an infeasible genotype is told to have reached; its excess alone ranks it
_MOST = 1e9


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


def key_of(genotype: Genotype) -> str:
    """The same text for the same genotype."""
    return json.dumps(dict(genotype), sort_keys=True)


class Drawn:
    """The genotypes of `start`, then others drawn uniformly, each once until the space runs dry."""

    def __init__(self, space: SearchSpace, *, seed: int, start: Sequence[Genotype]) -> None:
        self._space = space
        self._rng = np.random.default_rng(seed)
        self._start = list(start)
        self._seen: set[str] = set()

    def ask(self) -> Genotype:
        """The next genotype."""
        genotype = self._start.pop(0) if self._start else self.unseen()
        self._seen.add(key_of(genotype))
        return genotype

    def tell(self, reached: tuple[float, float] | None, over: Mapping[str, float]) -> None:
        """Nothing is learned."""

    def note(self, genotype: Genotype) -> bool:
        """Remember a genotype that came from elsewhere; whether it is new."""
        known = key_of(genotype) in self._seen
        self._seen.add(key_of(genotype))
        return not known

    def unseen(self) -> Genotype:
        """A genotype that was not asked before, while there is one."""
        while True:
            genotype = self._space.draw(self._rng)
            if key_of(genotype) not in self._seen or len(self._seen) >= self._space.size:
                return genotype


class Evolved:
    """NSGA-II on (accuracy up, flips down), or on accuracy alone; limits by constrained domination.

    Where a whole population proposes nothing new, a genotype drawn from those not yet seen comes in between.
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
        self._fresh = Drawn(space, seed=seed, start=())
        self._num_stale = 0
        self._trial: Any = None

    def ask(self) -> Genotype:
        """The next genotype; it may have been asked before."""
        if self._num_stale >= self._population:
            self._enqueue(self._fresh.unseen())
        self._trial = self._study.ask()
        genotype = {
            name: choices[self._trial.suggest_int(name, 0, len(choices) - 1)]
            for name, choices in self._space.genes.items()
        }
        self._num_stale = 0 if self._fresh.note(genotype) else self._num_stale + 1
        return genotype

    def note(self, genotype: Genotype) -> None:
        """Remember a genotype whose outcome came with another's: it may be proposed again, and is nothing new."""
        self._fresh.note(genotype)

    def tell(self, reached: tuple[float, float] | None, over: Mapping[str, float]) -> None:
        """What the genotype asked last has reached (None: over a limit, by the shares in `over`)."""
        for name in self._limits:
            self._trial.set_constraint(name, min(over.get(name, 0.0), _MOST))
        values = _WORST if reached is None else reached
        self._study.tell(self._trial, values if self._with_flips else values[:1])

    def _enqueue(self, genotype: Genotype) -> None:
        self._study.enqueue_trial(
            {name: list(choices).index(genotype[name]) for name, choices in self._space.genes.items()}
        )
