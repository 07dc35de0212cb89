"""Photos that come in groups and flip together: lives with the groups unknown and known, and what knowing costs.

A group's rate is drawn from a beta distribution, so that two members flip together with the correlation asked for.
What is simulated is the overall limit of params.yaml, flips alone: other claims only ever refuse more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from components.selection.gate import bounds
from tests.benchmarks.certification import histories, lifetimes, shipped
from tests.benchmarks.figures import SHORT, Figure

SEED, LIVES = 0, 4000 if SHORT else 10_000
SETTINGS = ((2, 0.3), (2, 0.8), (5, 0.3), (5, 0.8), (10, 0.3), (10, 0.8))
GOOD = 0.01
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """P-values of one look, a life: groups unknown, bets on group means, one member a group, either of the two."""

    unknown: Floats
    bets: Floats
    drawn: Floats

    @property
    def either(self) -> Floats:
        """What the gate takes."""
        return np.minimum(1.0, 2.0 * np.minimum(self.bets, self.drawn))


def figures() -> Iterator[Figure]:
    """Wrong lives with and without groups, and power against bets alone."""
    for size, correlation in SETTINGS:
        unknown, known = wrong_lives(size, correlation)
        yield Figure(
            name=f"wrong lives, params.yaml's limit, bursts of {size} with correlation {correlation}, groups known",
            value=known,
            goal="at most 5%",
            met=lifetimes.share_upper(known, LIVES) <= lifetimes.ALPHA,
            peer=f"groups unknown {unknown:.1%}",
            ratio=known / unknown,
            seeds=[SEED],
            spread=f"99% bound {lifetimes.share_upper(known, LIVES):.2%}, {LIVES} lives",
        )
    for size, correlation, alone in ((1, 0.0, 1.0), (5, 0.3, 0.8), (2, 0.8, 0.5), (5, 0.3, 0.0), (10, 0.3, 0.0)):
        seen = look(size, correlation, np.full(LIVES, GOOD), np.random.default_rng([SEED, 43]), alone=alone)
        level = histories.level(8, histories.every(5, 8))
        powers = [float((p <= level).mean()) for p in (seen.either, seen.bets, seen.drawn)]
        name = f"{alone:.0%} of groups single, the others of {size} with correlation {correlation}"
        yield Figure(
            name=f"power at 1% flips, look 8 with every fifth promoted: {name}",
            value=powers[0],
            goal="not under bets alone" if alone >= 0.5 else "",
            met=powers[0] >= powers[1] if alone >= 0.5 else None,
            peer=f"bets alone {powers[1]:.1%}, one a group alone {powers[2]:.1%}",
            seeds=[SEED],
        )


def wrong_lives(size: int, correlation: float) -> tuple[float, float]:
    """The shares of lives with a wrong promotion, groups unknown and known; every candidate is at the limit."""
    found = []
    for way in ("unknown", "either"):
        rng = np.random.default_rng([SEED, 41])
        plan = shipped.policy().spending
        book, wrong = histories.Lives(plan, LIVES), np.zeros(LIVES, bool)
        book.look(np.ones(LIVES, bool))  # the bootstrap
        for _ in range(1, plan.planned_looks):
            seen = look(size, correlation, np.full(LIVES, shipped.policy().limit), rng)
            passed = getattr(seen, way) <= book.next_levels()
            wrong |= passed
            book.look(passed)
        found.append(float(wrong.mean()))
    return found[0], found[1]


def look(size: int, correlation: float, rates: Floats, rng: np.random.Generator, *, alone: float = 0.0) -> Seen:
    """One look at photos in groups of `size`, `alone` of the groups of one; `rates` are one a life."""
    groups = round(shipped.N / (alone + (1.0 - alone) * size))
    single = round(alone * groups)
    many = groups - single
    members = np.zeros((len(rates), size + 1))  # how many groups flip in so many members
    drawn = rng.binomial(single, rates)
    ones = drawn.copy()
    for life, rate in enumerate(rates):
        spread = (1.0 - correlation) / correlation if correlation > 0.0 else np.inf
        own = rng.beta(rate * spread, (1.0 - rate) * spread, many) if np.isfinite(spread) else np.full(many, rate)
        flipped = rng.binomial(size, own)
        members[life] = np.bincount(flipped, minlength=size + 1)
        drawn[life] += rng.binomial(1, flipped / size).sum()
    flips = ones + members @ np.arange(size + 1)
    members[:, 0] += single - ones
    members[:, size] += ones
    limit = shipped.policy().limit
    return Seen(
        unknown=special.bdtr(flips, single + many * size, limit),
        bets=_betting_p(np.arange(size + 1) / size, members, limit),
        drawn=special.bdtr(drawn, groups, limit),
    )


def _betting_p(values: Floats, counts: Floats, limit: float) -> Floats:
    """The component's betting p-value, of many lives at once."""
    with np.errstate(divide="ignore"):
        wealth = np.log1p(np.maximum(bounds._BETS[:, None] * (limit - values) / (1.0 - limit), -1.0))
    grown = counts @ np.maximum(wealth, -1e300).T
    return np.asarray(np.exp(np.minimum(0.0, -special.logsumexp(grown + bounds._LOG_WEIGHTS, axis=1))))
