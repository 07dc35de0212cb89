"""Targets: the devices a family is searched for, each with its cost limits, and the constrained choice among results.

The choice is made on the search split: the most accurate within the cost limits whose flip rate is within its limit.
What is chosen here has proven nothing yet: the chosen of all targets meet the certified gate together
(`gate.decide_all`), which charges a look for each one it asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Protocol

from pydantic import Field

from components.core.params import Section

Costs = Mapping[str, float]
_UNITS = {"multiply_adds": "multiply-adds", "parameters": "parameters", "latency_ms": "ms a picture"}


class Target(Section):
    """One device: what a model may cost there, and how many answers it may break on the search split.

    A limit of None is none. `multiply_adds` and `latency_ms` are for one image, the latter measured on the machine
    that searches.
    """

    name: str = Field(pattern=r"^[\w-]+$")
    multiply_adds: Annotated[float, Field(gt=0)] | None = None
    parameters: Annotated[float, Field(gt=0)] | None = None
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    flip_limit: Annotated[float, Field(ge=0, le=1)] = 0.02

    @property
    def limits(self) -> dict[str, float]:
        """The cost limits that are set, by name."""
        found = {name: getattr(self, name) for name in _UNITS}
        return {name: limit for name, limit in found.items() if limit is not None}


class Contender(Protocol):
    """What the choice looks at; rows of a search have it."""

    @property
    def accuracy(self) -> float:
        """On the search split."""

    @property
    def flips(self) -> float:
        """The negative-flip rate on the search split."""

    @property
    def costs(self) -> Costs:
        """By the names of a target's limits."""


def excess(costs: Costs, limits: Mapping[str, float]) -> dict[str, float]:
    """By how much of each limit the costs go over it (0.1 is a tenth); only those over. A cost unknown is over."""
    shares = {name: costs.get(name, float("inf")) / limit - 1.0 for name, limit in limits.items()}
    return {name: share for name, share in shares.items() if not share <= 0.0}


def choose(candidates: Sequence[Contender], target: Target) -> int | None:
    """The index of the most accurate candidate within the target; None when none is.

    Ties go to fewer flips, then to fewer multiply-adds, then to the first.
    """
    allowed = [
        index
        for index, candidate in enumerate(candidates)
        if not excess(candidate.costs, target.limits) and candidate.flips <= target.flip_limit
    ]
    if not allowed:
        return None
    return min(
        allowed,
        key=lambda i: (-candidates[i].accuracy, candidates[i].flips, candidates[i].costs.get("multiply_adds", 0.0), i),
    )


def choose_all(candidates: Sequence[Contender], targets: Iterable[Target]) -> dict[str, int | str]:
    """For each target the index of its candidate, or in words why there is none."""
    chosen: dict[str, int | str] = {}
    for target in targets:
        index = choose(candidates, target)
        chosen[target.name] = index if index is not None else _why_none(candidates, target)
    return chosen


def _why_none(candidates: Sequence[Contender], target: Target) -> str:
    within = [candidate for candidate in candidates if not excess(candidate.costs, target.limits)]
    if within:
        fewest = min(candidate.flips for candidate in within)
        return (
            f"of {len(within)} within its costs none flips at most {target.flip_limit:.2%}; the fewest is {fewest:.2%}"
        )
    for name, limit in target.limits.items():
        least = min((candidate.costs.get(name, float("inf")) for candidate in candidates), default=float("inf"))
        if least > limit:
            return f"none costs at most {limit:g} {_UNITS[name]}; the least is {least:g}"
    return f"none of {len(candidates)} is within all of its costs at once"
