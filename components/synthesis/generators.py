"""The list of generators: what makes images, found by name.

To add one, write a package whose `generator.py` holds a Generator, and name it in BUILT_IN, or in the entry-point
group `detent.generators` of a package of your own. Nothing else has to know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from components.core.errors import ConfigError
from components.synthesis.runs.jobs import Lot, Order
from components.synthesis.runs.terms import GeneratorConfig
from components.synthesis.stock import Source

GROUP = "detent.generators"
# In this order each takes its share of what those before it have left of a class; the last that can show it makes the
# rest. Others than these take their shares first.
BUILT_IN = {
    "renders": "components.synthesis.renders.generator:GENERATOR",
    "wraps": "components.synthesis.renders.generator:WRAPS",
    "pastes": "components.synthesis.pastes.generator:GENERATOR",
}


def _nothing() -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """Something that makes images.

    - `name`: its key in `synthesis.generators`, and what its shards are called after.
    - `version`: raised whenever the same settings give other images; recipe.json and every row say it.
    - `source`: what its rows say in the manifest's column of that name.
    - `subjects`: what it shows, by class; `surroundings`: what else it needs, read only where it makes anything.
    - `config`: its settings; `words`: those of its factors in words that an aim may narrow.
    - `lay_out`: an order in, a lot out.
    - `made_with`: versions of what its bits depend on beside what all generators depend on.
    - `standard`: takes part in every run; others, and those of other packages, only where the settings name them.
    """

    name: str
    version: int
    source: str
    subjects: Source[Mapping[str, Any]]
    lay_out: Callable[[Order], Lot]
    surroundings: tuple[Source[Any], ...] = ()
    config: type[GeneratorConfig] = GeneratorConfig
    words: frozenset[str] = frozenset()
    made_with: Callable[[], dict[str, str]] = _nothing
    standard: bool = False

    @property
    def sources(self) -> tuple[Source[Any], ...]:
        """All that it reads."""
        return (self.subjects, *self.surroundings)


def generator_names() -> list[str]:
    """The names of all generators that are installed."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def find_generator(name: str) -> Generator:
    """The generator of this name; ConfigError names the known ones."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == name]
        if not points:
            raise ConfigError(f"unknown generator '{name}', known: {', '.join(generator_names())}")
        found = points[0].load()
    if not isinstance(found, Generator) or found.name != name:
        raise ConfigError(f"generator '{name}' is {found!r}, expected a synthesis.generators.Generator of that name")
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """The names, each once, in the order in which they take their shares: those of other packages first."""
    known = {*names}
    return [*sorted(known - {*BUILT_IN}), *(name for name in BUILT_IN if name in known)]


def standard_names() -> list[str]:
    """The names of the generators that take part in every run."""
    return [name for name in BUILT_IN if find_generator(name).standard]


def word_factors() -> dict[str, frozenset[str]]:
    """By what rows say in their column `source`: the factors in words that an aim may narrow."""
    found: dict[str, frozenset[str]] = {}
    for generator in map(find_generator, generator_names()):
        found[generator.source] = found.get(generator.source, frozenset()) | generator.words
    return found
